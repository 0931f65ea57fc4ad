/** QED: the header, the L1 table, L2 tables. */
import { run, type Steps } from '../../../maybe.ts';
import type { FormatDriver } from '../../format.ts';
import { describeQedHeader, readQedHeader, tableEntries, type QedHeader } from '../../formats/qed/header.ts';
import type { Storage } from '../../storage/storage.ts';
import { headerNode } from '../header.ts';
import { indexed, type TreeNode } from '../node.ts';
import { entries, hex, readInside, type ShownEntry } from '../table.ts';

export function* qedTree({ storage }: FormatDriver): Steps<Record<string, TreeNode | undefined>> {
  const { header, backingFile } = yield* readQedHeader(storage);
  const { backing_filename_offset: offset, backing_filename_size: length } = header;
  return {
    header: headerNode(describeQedHeader(header), {
      links: { l1_table_offset: [{ to: 'node', path: 'l1' }] },
    }),
    backing:
      backingFile === undefined
        ? undefined
        : headerNode([{ name: 'backing_filename', offset, length, value: backingFile }], {
            label: 'backing-name',
          }),
    l1: l1Node(storage, header),
  };
}

function l1Node(storage: Storage, header: QedHeader): TreeNode {
  const count = tableEntries(header);
  const offset = header.l1_table_offset;
  const covered = count * header.cluster_size;
  return {
    label: 'l1',
    owner: 'mapping',
    offset,
    length: count * 8,
    fields: entries({
      storage,
      offset,
      count,
      entryBytes: 8,
      show: (view, index): ShownEntry => {
        const table = view.getBigUint64(0, true);
        const guest = index * covered;
        const value = hex(table);
        if (table === 0n) return { value, say: { key: 'l1-empty', params: { guest } } };
        const at = place(table, header);
        if (at === undefined) return { value, say: { key: 'misaligned', params: { offset: value } } };
        return {
          value,
          say: { key: 'l1-own', params: { guest, offset: at } },
          links: [
            { to: 'node', path: `l1/${index}` },
            { to: 'host', offset: at },
          ],
        };
      },
    }),
    children: indexed(count, (index) => run(l2Node(storage, header, index))),
  };
}

/** The byte that an entry points at, when it can be one. */
function place(entry: bigint, header: QedHeader): number | undefined {
  const offset = Number(entry);
  return Number.isSafeInteger(offset) && offset > 1 && offset % header.cluster_size === 0
    ? offset
    : undefined;
}

function* l2Node(storage: Storage, header: QedHeader, index: number): Steps<TreeNode | undefined> {
  const bytes = yield* readInside(storage, header.l1_table_offset + index * 8, 8);
  if (bytes.length < 8) return undefined;
  const offset = place(new DataView(bytes.buffer).getBigUint64(0, true), header);
  if (offset === undefined) return undefined;
  const count = tableEntries(header);
  const base = index * count * header.cluster_size;
  return {
    label: 'l2',
    params: { index, guest: base },
    owner: 'mapping',
    offset,
    length: count * 8,
    fields: entries({
      storage,
      offset,
      count,
      entryBytes: 8,
      show: (view, at) => showCluster(view.getBigUint64(0, true), base + at * header.cluster_size, header),
    }),
  };
}

function showCluster(entry: bigint, guest: number, header: QedHeader): ShownEntry {
  const value = hex(entry);
  const here = { to: 'guest', offset: guest } as const;
  const links = guest < header.image_size ? [here] : [];
  if (entry === 0n) return { value, say: { key: 'l2-unallocated', params: { guest, offset: 0 } }, links };
  if (entry === 1n) return { value, say: { key: 'l2-zero', params: { guest, offset: 0 } }, links };
  const offset = place(entry, header);
  if (offset === undefined) return { value, say: { key: 'misaligned', params: { offset: value } }, links };
  return {
    value,
    say: { key: 'l2-normal', params: { guest, offset } },
    links: [...links, { to: 'host', offset }],
  };
}

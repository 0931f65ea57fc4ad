/** qcow version 1: the header, the L1 table, L2 tables. */
import { run, type Steps } from '../../../maybe.ts';
import type { FormatDriver } from '../../format.ts';
import { qcowHeader, readQcowHeader, type QcowImage } from '../../formats/qcow/header.ts';
import type { Storage } from '../../storage/storage.ts';
import { headerNode } from '../header.ts';
import { indexed, type TreeNode } from '../node.ts';
import { entries, hex, readInside, type ShownEntry } from '../table.ts';

const COMPRESSED = 1n << 63n;

export function* qcowTree({ storage }: FormatDriver): Steps<Record<string, TreeNode | undefined>> {
  const image = yield* readQcowHeader(storage);
  const { backing_file_offset: offset, backing_file_size: length } = image.header;
  const { backingFile: value } = image;
  return {
    header: headerNode(qcowHeader.describe(image.header, 0), {
      links: { l1_table_offset: [{ to: 'node', path: 'l1' }] },
    }),
    backing:
      value === undefined
        ? undefined
        : headerNode([{ name: 'backing_file', offset, length, value }], { label: 'backing-name' }),
    l1: l1Node(storage, image),
  };
}

function l1Node(storage: Storage, image: QcowImage): TreeNode {
  const { header, l1Entries: count } = image;
  const offset = header.l1_table_offset;
  const covered = 2 ** (header.l2_bits + header.cluster_bits);
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
        const table = view.getBigUint64(0);
        const guest = index * covered;
        const value = hex(table);
        if (table === 0n) return { value, say: { key: 'l1-empty', params: { guest } } };
        const at = Number(table);
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
    children: indexed(count, (index) => run(l2Node(storage, image, index))),
  };
}

function* l2Node(
  storage: Storage,
  { header, virtualSize }: QcowImage,
  index: number,
): Steps<TreeNode | undefined> {
  const bytes = yield* readInside(storage, header.l1_table_offset + index * 8, 8);
  if (bytes.length < 8) return undefined;
  const offset = Number(new DataView(bytes.buffer).getBigUint64(0));
  if (offset === 0 || !Number.isSafeInteger(offset)) return undefined;
  const count = 2 ** header.l2_bits;
  const cluster = 2 ** header.cluster_bits;
  const base = index * count * cluster;
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
      show: (view, at): ShownEntry => {
        const guest = base + at * cluster;
        const links = guest < virtualSize ? [{ to: 'guest', offset: guest } as const] : [];
        return showCluster(view.getBigUint64(0), guest, header.cluster_bits, links);
      },
    }),
  };
}

/** Of a compressed cluster the length stands above the offset (QEMU: `block/qcow.c`, decompress_cluster). */
function showCluster(
  entry: bigint,
  guest: number,
  clusterBits: number,
  links: NonNullable<ShownEntry['links']>,
): ShownEntry {
  const value = hex(entry);
  if (entry === 0n) return { value, say: { key: 'l2-unallocated', params: { guest, offset: 0 } }, links };
  if ((entry & COMPRESSED) === 0n) {
    const offset = Number(entry);
    return {
      value,
      say: { key: 'l2-normal', params: { guest, offset } },
      links: [...links, { to: 'host', offset }],
    };
  }
  const bits = BigInt(63 - clusterBits);
  const offset = Number(entry & ((1n << bits) - 1n));
  const bytes = Number((entry & (COMPRESSED - 1n)) >> bits);
  return {
    value,
    say: { key: 'l2-compressed', params: { guest, offset, bytes } },
    links: [...links, { to: 'host', offset }],
  };
}

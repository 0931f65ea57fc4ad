/** Bochs: the header, and the catalog that says where each extent lies, its bitmap first. */
import { run, type Steps } from '../../../maybe.ts';
import type { FormatDriver } from '../../format.ts';
import {
  BOCHS_UNALLOCATED,
  extentPlace,
  readBochsHeader,
  type BochsHeader,
} from '../../formats/bochs/header.ts';
import type { Storage } from '../../storage/storage.ts';
import { headerNode } from '../header.ts';
import { indexed, type TreeNode } from '../node.ts';
import { entries, readInside, type ShownEntry } from '../table.ts';

export function* bochsTree({ storage }: FormatDriver): Steps<Record<string, TreeNode | undefined>> {
  const { header, fields } = yield* readBochsHeader(storage);
  const { header: offset, catalog: count } = header;
  return {
    header: headerNode(fields, { links: { catalog: [{ to: 'node', path: 'catalog' }] } }),
    catalog: {
      label: 'catalog',
      owner: 'mapping',
      offset,
      length: count * 4,
      fields: entries({
        storage,
        offset,
        count,
        entryBytes: 4,
        show: (view, index) => showExtent(header, view.getUint32(0, true), index),
      }),
      children: indexed(count, (index) => run(bitmapNode(storage, header, index))),
    },
  };
}

function showExtent(header: BochsHeader, number: number, index: number): ShownEntry {
  const guest = index * header.extent;
  const links = guest < header.disk ? [{ to: 'guest', offset: guest } as const] : [];
  const value = String(number);
  if (number === BOCHS_UNALLOCATED) return { value, say: { key: 'block-none', params: { guest } }, links };
  const { data: offset } = extentPlace(header, number);
  return {
    value,
    say: { key: 'block-at', params: { guest, offset } },
    links: [...links, { to: 'host', offset }, { to: 'node', path: `catalog/${index}` }],
  };
}

function* bitmapNode(storage: Storage, header: BochsHeader, index: number): Steps<TreeNode | undefined> {
  const bytes = yield* readInside(storage, header.header + index * 4, 4);
  if (bytes.length < 4) return undefined;
  const number = new DataView(bytes.buffer).getUint32(0, true);
  if (number === BOCHS_UNALLOCATED) return undefined;
  const { bitmap, bitmapBytes } = extentPlace(header, number);
  return {
    label: 'sector-bitmap',
    params: { index, guest: index * header.extent },
    owner: 'bitmap',
    offset: bitmap,
    length: bitmapBytes,
  };
}

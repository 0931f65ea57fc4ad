/** VHD: the footer and its copy, the dynamic disk header, the block table, the bitmaps before the blocks. */
import { run, wait, type Steps } from '../../../maybe.ts';
import type { FormatDriver } from '../../format.ts';
import { bitmapBytes } from '../../formats/vpc/driver.ts';
import {
  readVhdHeaders,
  VHD_UNALLOCATED,
  vhdDynamicHeader,
  vhdFooter,
  type VhdDynamicHeader,
} from '../../formats/vpc/header.ts';
import type { Storage } from '../../storage/storage.ts';
import { headerNode } from '../header.ts';
import { indexed, type TreeNode } from '../node.ts';
import { entries, readInside, type ShownEntry } from '../table.ts';

export function* vpcTree({ storage }: FormatDriver): Steps<Record<string, TreeNode | undefined>> {
  const { footer, footerOffset, dynamic, dynamicOffset } = yield* readVhdHeaders(storage);
  const main = headerNode(vhdFooter.describe(footer, footerOffset), {
    label: footerOffset === 0 ? 'footer-copy' : 'footer',
    links: dynamic && { data_offset: [{ to: 'node', path: 'dynamic' }] },
  });
  if (dynamic === undefined) return { footer: main };
  return {
    header: main,
    dynamic: headerNode(vhdDynamicHeader.describe(dynamic, dynamicOffset), {
      label: 'dynamic-header',
      links: { table_offset: [{ to: 'node', path: 'bat' }] },
    }),
    bat: blockTable(storage, dynamic),
    footer: yield* secondFooter(storage),
  };
}

/** The footer at the end, when it is one. */
function* secondFooter(storage: Storage): Steps<TreeNode | undefined> {
  const offset = (yield* wait(storage.size())) - vhdFooter.size;
  if (offset <= 0) return undefined;
  const bytes = yield* readInside(storage, offset, vhdFooter.size);
  if (String.fromCharCode(...bytes.subarray(0, 8)) !== 'conectix') return undefined;
  const fields = vhdFooter.describe(vhdFooter.parse(bytes, storage.name), offset);
  return headerNode(fields, { label: 'footer' });
}

function blockTable(storage: Storage, header: VhdDynamicHeader): TreeNode {
  const { table_offset: offset, max_table_entries: count, block_size: block } = header;
  return {
    label: 'block-table',
    owner: 'mapping',
    offset,
    length: count * 4,
    fields: entries({
      storage,
      offset,
      count,
      entryBytes: 4,
      show: (view, index): ShownEntry => {
        const sector = view.getUint32(0);
        const guest = index * block;
        const here = { to: 'guest', offset: guest } as const;
        if (sector === VHD_UNALLOCATED) {
          return { value: String(sector), say: { key: 'block-none', params: { guest } }, links: [here] };
        }
        const data = sector * 512 + bitmapBytes(block);
        return {
          value: String(sector),
          say: { key: 'block-at', params: { guest, offset: data } },
          links: [here, { to: 'host', offset: data }, { to: 'node', path: `bat/${index}` }],
        };
      },
    }),
    children: indexed(count, (index) => run(bitmapNode(storage, header, index))),
  };
}

function* bitmapNode(storage: Storage, header: VhdDynamicHeader, index: number): Steps<TreeNode | undefined> {
  const bytes = yield* readInside(storage, header.table_offset + index * 4, 4);
  if (bytes.length < 4) return undefined;
  const sector = new DataView(bytes.buffer).getUint32(0);
  if (sector === VHD_UNALLOCATED) return undefined;
  return {
    label: 'sector-bitmap',
    params: { index, guest: index * header.block_size },
    owner: 'bitmap',
    offset: sector * 512,
    length: bitmapBytes(header.block_size),
  };
}

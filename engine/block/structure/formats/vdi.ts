/** VDI: the header and the map of blocks. */
import { wait, type Steps } from '../../../maybe.ts';
import type { FormatDriver } from '../../format.ts';
import {
  describeVdiHeader,
  readVdiHeader,
  VDI_DISCARDED,
  VDI_UNALLOCATED,
} from '../../formats/vdi/header.ts';
import { headerNode } from '../header.ts';
import type { TreeNode } from '../node.ts';
import { entries, type ShownEntry } from '../table.ts';

export function* vdiTree({ storage }: FormatDriver): Steps<Record<string, TreeNode | undefined>> {
  const header = yield* wait(readVdiHeader(storage));
  const count = header.blocks_in_image;
  return {
    header: headerNode(describeVdiHeader(header), {
      links: {
        offset_bmap: [{ to: 'node', path: 'map' }],
        offset_data: [{ to: 'host', offset: header.offset_data }],
      },
    }),
    map: {
      label: 'block-map',
      owner: 'mapping',
      offset: header.offset_bmap,
      length: count * 4,
      fields: entries({
        storage,
        offset: header.offset_bmap,
        count,
        entryBytes: 4,
        show: (view, index): ShownEntry => {
          const block = view.getUint32(0, true);
          const guest = index * header.block_size;
          const here = { to: 'guest', offset: guest } as const;
          if (block >= VDI_DISCARDED) {
            const key = block === VDI_UNALLOCATED ? 'block-none' : 'block-discarded';
            return { value: String(block), say: { key, params: { guest } }, links: [here] };
          }
          const offset = header.offset_data + block * header.block_size;
          return {
            value: String(block),
            say: { key: 'block-at', params: { guest, offset } },
            links: [here, { to: 'host', offset }],
          };
        },
      }),
    },
  };
}

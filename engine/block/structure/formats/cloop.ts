/** cloop: the script and the header, and the table of offsets. */
import type { Steps } from '../../../maybe.ts';
import type { FormatDriver } from '../../format.ts';
import { cloopHeader, describeCloopHeader, readCloopHeader } from '../../formats/cloop/header.ts';
import { headerNode } from '../header.ts';
import type { TreeNode } from '../node.ts';
import { entries, hex, type ShownEntry } from '../table.ts';

export function* cloopTree({ storage }: FormatDriver): Steps<Record<string, TreeNode | undefined>> {
  const header = yield* readCloopHeader(storage);
  const { block_size: block, n_blocks: blocks } = header;
  return {
    header: headerNode(describeCloopHeader(header), {
      links: { n_blocks: [{ to: 'node', path: 'offsets' }] },
    }),
    offsets: {
      label: 'offset-table',
      owner: 'mapping',
      offset: cloopHeader.size,
      length: (blocks + 1) * 8,
      fields: entries({
        storage,
        offset: cloopHeader.size,
        count: blocks + 1,
        entryBytes: 8,
        show: (view, index): ShownEntry => {
          const entry = view.getBigUint64(0);
          const offset = Number(entry);
          const value = hex(entry);
          if (index === blocks) return { value, say: { key: 'blocks-end', params: { offset } } };
          const guest = index * block;
          return {
            value,
            say: { key: 'grain-compressed', params: { guest, offset } },
            links: [
              { to: 'guest', offset: guest },
              { to: 'host', offset },
            ],
          };
        },
      }),
    },
  };
}

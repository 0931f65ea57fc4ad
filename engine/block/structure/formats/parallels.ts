/** Parallels: the header, the block table, the format extension. */
import type { Steps } from '../../../maybe.ts';
import type { FormatDriver } from '../../format.ts';
import {
  describeParallelsHeader,
  entryUnit,
  parallelsHeader,
  readParallelsHeader,
} from '../../formats/parallels/header.ts';
import { headerNode } from '../header.ts';
import type { TreeNode } from '../node.ts';
import { entries, type ShownEntry } from '../table.ts';

export function* parallelsTree({ storage }: FormatDriver): Steps<Record<string, TreeNode | undefined>> {
  const header = yield* readParallelsHeader(storage);
  const cluster = header.tracks * 512;
  const unit = entryUnit(header) * 512;
  return {
    header: headerNode(describeParallelsHeader(header), {
      links: {
        bat_entries: [{ to: 'node', path: 'bat' }],
        ext_off: header.ext_off === 0 ? undefined : [{ to: 'node', path: 'extension' }],
      },
    }),
    bat: {
      label: 'block-table',
      owner: 'mapping',
      offset: parallelsHeader.size,
      length: header.bat_entries * 4,
      fields: entries({
        storage,
        offset: parallelsHeader.size,
        count: header.bat_entries,
        entryBytes: 4,
        show: (view, index): ShownEntry => {
          const entry = view.getUint32(0, true);
          const guest = index * cluster;
          const here = { to: 'guest', offset: guest } as const;
          const links = guest < header.nb_sectors * 512 ? [here] : [];
          if (entry === 0) return { value: '0', say: { key: 'block-none', params: { guest } }, links };
          const offset = entry * unit;
          return {
            value: String(entry),
            say: { key: 'block-at', params: { guest, offset } },
            links: [...links, { to: 'host', offset }],
          };
        },
      }),
    },
    extension:
      header.ext_off === 0
        ? undefined
        : { label: 'format-extension', owner: 'bitmap', offset: header.ext_off * 512, length: cluster },
  };
}

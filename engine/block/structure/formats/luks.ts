/** LUKS: the header, each key slot with its key material, and where the encrypted disk begins; of LUKS2 both headers' areas. */
import { wait, type Steps } from '../../../maybe.ts';
import type { FormatDriver } from '../../format.ts';
import {
  luks1Header,
  luks1Slot,
  readLuks1,
  SLOT_ACTIVE,
  type Luks1Header,
} from '../../formats/luks/header1.ts';
import { luks2Header, readLuks2, type Luks2Header } from '../../formats/luks/header2.ts';
import type { Storage } from '../../storage/storage.ts';
import { headerNode } from '../header.ts';
import { indexed, type TreeNode } from '../node.ts';
import { readInside } from '../table.ts';

type Parts = Record<string, TreeNode | undefined>;

export function* luksTree({ storage }: FormatDriver): Steps<Parts> {
  const start = yield* readInside(storage, 0, 8);
  // A first header that was wiped leaves a second copy, which only LUKS2 has.
  const first = start[6] === 0 && start[7] === 1;
  return first
    ? luks1Parts(yield* readLuks1(storage))
    : yield* luks2Parts(storage, yield* readLuks2(storage));
}

/** Where a LUKS1 header stands: at the start of its file, or inside of qcow2. */
interface Place {
  /** Bytes. */
  base: number;
  /** Of the node that holds it, with a slash behind it. */
  path: string;
}

export function luks1Parts(header: Luks1Header, place: Place = { base: 0, path: '' }): Parts {
  const { base } = place;
  const { payload_offset: payload } = header;
  return {
    header: headerNode(luks1Header.describe(header, base), {
      links: base === 0 ? { payload_offset: [{ to: 'host', offset: payload * 512 }] } : {},
    }),
    slots: {
      label: 'key-slots',
      owner: 'header',
      offset: base + luks1Header.size,
      length: header.slots.length * luks1Slot.size,
      children: indexed(header.slots.length, (index) => slotNode(header, index, place)),
    },
  };
}

function slotNode(header: Luks1Header, index: number, { base, path }: Place): TreeNode | undefined {
  const slot = header.slots[index];
  const active = slot.active === SLOT_ACTIVE;
  const at = base + luks1Header.size + index * luks1Slot.size;
  const material = base + slot.key_material_offset * 512;
  const node = headerNode(luks1Slot.describe(slot, at), {
    label: active ? 'key-slot' : 'key-slot-empty',
    params: { index },
    links: { key_material_offset: [{ to: 'node', path: `${path}slots/${index}/material` }] },
  });
  if (node === undefined) return undefined;
  const length = Math.ceil((header.key_bytes * slot.stripes) / 512) * 512;
  return {
    ...node,
    children: {
      count: 1,
      at: () => ({ label: 'key-material', params: { index }, owner: 'other', offset: material, length }),
      nameOf: () => 'material',
      indexOf: (name) => (name === 'material' ? 0 : -1),
    },
  };
}

function* luks2Parts(storage: Storage, header: Luks2Header): Steps<Parts> {
  const { hdr_offset: offset, hdr_size: size } = header;
  const slots = [...header.keyslots];
  return {
    header: headerNode(luks2Header.describe(header, offset)),
    json: { label: 'luks-json', owner: 'header', offset: offset + 4096, length: size - 4096 },
    copy:
      offset === 0 && (yield* wait(storage.size())) >= 2 * size
        ? { label: 'luks-copy', owner: 'header', offset: size, length: size }
        : undefined,
    slots: {
      label: 'key-slots',
      owner: 'other',
      offset: Math.min(...slots.map(([, { area }]) => area.offset)),
      length: 0,
      children: indexed(slots.length, (index) => {
        const [id, { area }] = slots[index];
        return {
          label: 'key-material',
          params: { index: id },
          owner: 'other',
          offset: area.offset,
          length: area.size,
        };
      }),
    },
  };
}

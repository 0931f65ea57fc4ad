/** The block allocation table: payload blocks, and a sector bitmap block after every chunk of them. */
import { batEntries, chunkRatio, FULLY_PRESENT, PARTIALLY_PRESENT } from '../../formats/vhdx/blocks.ts';
import { MIB, type Region } from '../../formats/vhdx/header.ts';
import type { VhdxMetadata } from '../../formats/vhdx/metadata.ts';
import type { Storage } from '../../storage/storage.ts';
import type { TreeNode } from '../node.ts';
import { entries, hex, type ShownEntry } from '../table.ts';

/** [MS-VHDX] 2.5.1.1; 5 was "unmapped" in version 0.95. */
const STATES = ['not-present', 'undefined', 'zero', 'unmapped', 'other', 'unmapped', 'full', 'partial'];

export function batNode(storage: Storage, region: Region, metadata: VhdxMetadata): TreeNode {
  const ratio = chunkRatio(metadata);
  return {
    label: 'block-table',
    owner: 'mapping',
    offset: region.offset,
    length: region.length,
    fields: entries({
      storage,
      offset: region.offset,
      count: Math.min(batEntries(metadata), Math.floor(region.length / 8)),
      entryBytes: 8,
      show: (view, index) => show(view.getBigUint64(0, true), index, ratio, metadata),
    }),
  };
}

function show(entry: bigint, index: number, ratio: number, metadata: VhdxMetadata): ShownEntry {
  const value = hex(entry);
  const state = Number(entry & 7n);
  const offset = Number(entry >> 20n) * MIB;
  const host = { to: 'host', offset } as const;
  if (index % (ratio + 1) === ratio) {
    if (state !== FULLY_PRESENT) return { value, say: { key: 'bat-bitmap-none', params: {} } };
    return { value, say: { key: 'bat-bitmap', params: { offset } }, links: [host] };
  }
  const guest = (index - Math.floor(index / (ratio + 1))) * metadata.blockSize;
  const links = guest < metadata.diskSize ? [{ to: 'guest', offset: guest } as const] : [];
  const say = { key: `bat-${STATES[state]}`, params: { guest, offset } };
  const present = state === FULLY_PRESENT || state === PARTIALLY_PRESENT;
  return { value, say, links: present ? [...links, host] : links };
}

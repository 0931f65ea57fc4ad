/** The kinds of block, the same in the map, the hex view and every list: a colour, a letter and a hatch each. */
import type { MapExtent } from '#contract/images.ts';

export const BLOCK_KINDS = ['data', 'zero', 'unallocated', 'compressed', 'backing', 'metadata'] as const;
export type BlockKind = (typeof BLOCK_KINDS)[number];

/** How a kind is marked besides its colour. */
export const KIND_MARK: Record<BlockKind, { letter: string; hatch: Hatch }> = {
  data: { letter: 'D', hatch: 'none' },
  zero: { letter: '0', hatch: 'level' },
  unallocated: { letter: 'U', hatch: 'dot' },
  compressed: { letter: 'C', hatch: 'rising' },
  backing: { letter: 'B', hatch: 'upright' },
  metadata: { letter: 'M', hatch: 'cross' },
};
export type Hatch = 'none' | 'level' | 'dot' | 'rising' | 'upright' | 'cross';

/** What a stretch of the guest's disk is, as one kind. */
export function kindOf(extent: MapExtent): BlockKind {
  if (!extent.present) return 'unallocated';
  if (!extent.data) return extent.zero ? 'zero' : 'unallocated';
  if (extent.depth > 0) return 'backing';
  return extent.compressed ? 'compressed' : 'data';
}

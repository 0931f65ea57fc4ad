/** A place on the guest's disk in words and numbers. */
import type { ImageInfo } from '#contract/images.ts';
import type { BlockKind } from '../../../design/kinds.ts';
import type { ExtentTable } from './extents.ts';

export interface Spot {
  guest: number;
  host: number | null;
  kind: BlockKind;
  depth: number;
  /** The file that holds it: the image itself or one of its backing images; empty when nothing does. */
  owner: string;
  /** The whole stretch that it belongs to. */
  start: number;
  length: number;
  row: number;
}

/** What lies at a guest offset, or null where the map does not reach (yet). */
export function spotAt(table: ExtentTable, info: ImageInfo, guest: number): Spot | null {
  const row = guest < 0 ? -1 : table.find(guest);
  if (row < 0) return null;
  return {
    guest,
    host: table.hostOffset(guest),
    kind: table.kind(row),
    depth: table.depth(row),
    owner: table.kind(row) === 'unallocated' ? '' : layerName(info, table.depth(row)),
    start: table.start(row),
    length: table.length(row),
    row,
  };
}

/** The name of the layer at a depth of the chain. */
export function layerName(info: ImageInfo, depth: number): string {
  let layer: ImageInfo | undefined = info;
  for (let i = 0; i < depth && layer !== undefined; i += 1) layer = layer.backing;
  return layer?.name ?? '';
}

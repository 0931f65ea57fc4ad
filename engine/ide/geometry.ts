/** Cylinders, heads and sectors of a disk that has none: guessed as QEMU does (hw/block/hd-geometry.c). */
import type { BlockNode } from '../block/node.ts';
import { andThen, type Maybe } from '../maybe.ts';
import { SECTOR } from './ata.ts';

export interface Geometry {
  cylinders: number;
  heads: number;
  /** Sectors of a track. */
  sectors: number;
}

const HEADS = 16;
const TRACK = 63;
const MAX_CYLINDERS = 16383;

/** What every disk of so many sectors has. */
export function geometryOfSize(total: number): Geometry {
  const cylinders = Math.floor(total / (HEADS * TRACK));
  return { cylinders: Math.min(Math.max(cylinders, 2), MAX_CYLINDERS), heads: HEADS, sectors: TRACK };
}

/** From the first partition of an MBR that ends on a cylinder's edge, or undefined. */
function geometryOfTable(mbr: Uint8Array, total: number): Geometry | undefined {
  if (mbr[510] !== 0x55 || mbr[511] !== 0xaa) return undefined;
  const view = new DataView(mbr.buffer, mbr.byteOffset, mbr.byteLength);
  for (let at = 0x1be; at < 0x1fe; at += 16) {
    const endHead = mbr[at + 5];
    const sectors = mbr[at + 6] & 63;
    if (view.getUint32(at + 12, true) === 0 || endHead === 0 || sectors === 0) continue;
    const heads = endHead + 1;
    const cylinders = Math.floor(total / (heads * sectors));
    if (cylinders >= 1 && cylinders <= MAX_CYLINDERS) return { cylinders, heads, sectors };
  }
  return undefined;
}

/** Reads sector 0. More than 16 heads mean that a BIOS translated: then the size alone counts. */
export function guessGeometry(node: BlockNode): Maybe<Geometry> {
  const total = Math.floor(node.virtualSize / SECTOR);
  const fallback = geometryOfSize(total);
  if (total === 0) return fallback;
  const mbr = new Uint8Array(SECTOR);
  return andThen(node.read(0, mbr), () => {
    const found = geometryOfTable(mbr, total);
    return found === undefined || found.heads > HEADS ? fallback : found;
  });
}

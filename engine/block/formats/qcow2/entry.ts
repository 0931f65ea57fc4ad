/** L2 entries: what one says about its cluster (specification, "L2 table entry"). Halves of 32 bits, so that no BigInt is made. */
import { COMPRESSED_HIGH, COPIED_HIGH, OFFSET_HIGH, OFFSET_LOW, ZERO_LOW } from './constants.ts';

export type ClusterKind = 'unallocated' | 'zero' | 'zero-allocated' | 'normal' | 'compressed';

/**
 * The kind of a standard entry. Offset 0 means "not there", except in an external data file, where the first cluster may lie at 0
 * and the copied flag tells.
 *
 * In version 2 bit 0 is reserved; QEMU takes it for the zero flag all the same.
 */
export function clusterKind(high: number, low: number, external = false): ClusterKind {
  if ((high & COMPRESSED_HIGH) !== 0) return 'compressed';
  const hasOffset = (high & OFFSET_HIGH) !== 0 || (low & OFFSET_LOW) !== 0;
  if ((low & ZERO_LOW) !== 0) return hasOffset ? 'zero-allocated' : 'zero';
  return hasOffset || (external && (high & COPIED_HIGH) !== 0) ? 'normal' : 'unallocated';
}

/** The host offset of a standard entry, bytes. */
export function hostOffset(high: number, low: number): number {
  return (high & OFFSET_HIGH) * 2 ** 32 + ((low & OFFSET_LOW) >>> 0);
}

/**
 * Whether anything of a cluster that has a place is stored there; else it was only preallocated.
 * @param allocated the allocated bits of its subclusters, with extended L2 entries
 */
export function holdsData(low: number, allocated: number | undefined): boolean {
  return allocated === undefined ? (low & ZERO_LOW) === 0 : allocated !== 0;
}

export function isCopied(high: number): boolean {
  return (high & COPIED_HIGH) !== 0;
}

export interface CompressedPlace {
  /** Byte in the file, not aligned. */
  offset: number;
  /** Bytes up to the end of the last 512-byte sector that it touches; what follows the compressed data is padding. */
  length: number;
}

/** Decodes a compressed cluster descriptor: offset in bits 0 to x-1, additional sectors above, x = 62 - (cluster_bits - 8). */
export function compressedPlace(high: number, low: number, clusterBits: number): CompressedPlace {
  const shift = 62 - (clusterBits - 8) - 32;
  const bits = high & 0x3fff_ffff;
  const sectors = (bits >>> shift) + 1;
  const offset = (bits & (2 ** shift - 1)) * 2 ** 32 + low;
  return { offset, length: sectors * 512 - (offset % 512) };
}

/** Encodes it: `[high, low]`. `length` is the compressed data's, bytes. */
export function compressedEntry(offset: number, length: number, clusterBits: number): [number, number] {
  const shift = 62 - (clusterBits - 8) - 32;
  const sectors = Math.floor((offset + length - 1) / 512) - Math.floor(offset / 512);
  const high = (COMPRESSED_HIGH | (sectors << shift) | Math.floor(offset / 2 ** 32)) >>> 0;
  return [high, offset % 2 ** 32];
}

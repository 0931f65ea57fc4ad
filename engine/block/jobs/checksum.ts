/** The checksum of a disk as the guest sees it, whatever its format: that of the raw image that `convert` would make. */
import { createHash } from 'node:crypto';
import { createBLAKE3 } from 'hash-wasm';
import { alignedBuffer } from '../../bytes/aligned.ts';
import { ZEROES } from '../../bytes/zeroes.ts';
import { run } from '../../maybe.ts';
import { extentAt } from '../map.ts';
import type { BlockNode } from '../node.ts';
import { JobPace, type JobOptions } from './job.ts';

export const CHECKSUMS = ['sha256', 'blake3'] as const;
export type ChecksumAlgorithm = (typeof CHECKSUMS)[number];

/** Bytes read at a time. */
const PIECE = 1 << 20;

interface Hash {
  update(bytes: Uint8Array): unknown;
  digest(encoding: 'hex'): string;
}

/** Lower-case hexadecimal digits. Throws what reading throws, and `job.cancelled`. */
export async function checksumImage(
  node: BlockNode,
  algorithm: ChecksumAlgorithm,
  options: JobOptions = {},
): Promise<string> {
  const pace = new JobPace(options);
  const hash: Hash = algorithm === 'sha256' ? createHash('sha256') : await createBLAKE3();
  const total = node.virtualSize;
  const buffer = alignedBuffer(PIECE);
  pace.check();
  for (let at = 0; at < total;) {
    const extent = await run(extentAt(node, at, total - at));
    const end = at + extent.length;
    const zero = extent.zero && !extent.data;
    while (at < end) {
      const length = Math.min(PIECE, end - at);
      if (!zero) {
        const read = node.read(at, buffer.subarray(0, length));
        if (read !== undefined) await read;
      }
      hash.update((zero ? ZEROES : buffer).subarray(0, length));
      at += length;
      await pace.step(at, total);
    }
  }
  options.onProgress?.(total, total);
  pace.check();
  return hash.digest('hex');
}

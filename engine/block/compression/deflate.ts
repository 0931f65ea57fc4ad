/** Raw deflate (RFC 1951), as qcow2 and QED keep clusters: bounded output, what follows the stream is ignored. */
import { constants, inflateRawSync } from 'node:zlib';

/** Exactly `size` bytes. Throws when the stream is damaged or gives more or fewer. */
export function inflateCluster(packed: Uint8Array, size: number): Uint8Array {
  const out = inflateRawSync(packed, {
    maxOutputLength: size,
    chunkSize: Math.max(64, size),
    finishFlush: constants.Z_SYNC_FLUSH,
  });
  if (out.length !== size) throw new Error(`${out.length} bytes came out instead of ${size}`);
  return out;
}

/** Raw deflate (RFC 1951), as qcow2 and QED keep clusters: bounded output, what follows the stream is ignored. */
import { constants, inflateRaw, inflateRawSync, type ZlibOptions } from 'node:zlib';
import { workers } from './worker-pool.ts';

/** Exactly `size` bytes. Throws when the stream is damaged or gives more or fewer. */
export function inflateCluster(packed: Uint8Array, size: number): Uint8Array {
  return exactly(inflateRawSync(packed, options(size)), size);
}

/** The same in another thread. Takes `packed` away; shared memory in `target` spares a copy (`worker-pool.ts`). */
export async function inflateClusterLater(
  packed: Uint8Array<ArrayBuffer>,
  size: number,
  target?: Uint8Array,
): Promise<Uint8Array> {
  if (workers.ready) return exactly(await workers.run('inflate', packed, size, target), size);
  return inflateInNodesPool(packed, size);
}

function inflateInNodesPool(packed: Uint8Array, size: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    inflateRaw(packed, options(size), (error, out) => {
      try {
        if (error !== null) throw error;
        resolve(exactly(out, size));
      } catch (failure) {
        reject(failure);
      }
    });
  });
}

function options(size: number): ZlibOptions {
  return { maxOutputLength: size, chunkSize: Math.max(64, size), finishFlush: constants.Z_SYNC_FLUSH };
}

/** Throws where it is not `size` bytes. */
export function exactly(out: Uint8Array, size: number): Uint8Array {
  if (out.length !== size) throw new Error(`${out.length} bytes came out instead of ${size}`);
  return out;
}

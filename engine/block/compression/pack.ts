/**
 * Packing clusters, several at a time: Node's own zlib works in its thread pool, Zstandard in worker threads. Node has the latter itself
 * from 22.15 on; older ones get it as WebAssembly, at half of the speed.
 */
import * as zlib from 'node:zlib';
import { workers } from './worker-pool.ts';

/** Packs `bytes`; undefined when the result would have more than `limit` bytes. The bytes must stay as they are until it is done. */
export type Pack = (bytes: Uint8Array, limit: number) => Promise<Uint8Array | undefined>;

/** QEMU unpacks with a window of 4 KiB (`block/qcow2-threads.c`): no more may be used. */
const QCOW2_DEFLATE = { windowBits: 12, memLevel: 9 };
/** As QEMU leaves it. */
const ZSTD_LEVEL = 3;

type Callback = (error: Error | null, result: Buffer) => void;
/** Raw deflate, as qcow2 keeps clusters. */
export const packDeflateRaw: Pack = (bytes, limit) =>
  bounded((done) =>
    zlib.deflateRaw(bytes, { ...QCOW2_DEFLATE, chunkSize: limit, maxOutputLength: limit }, done),
  );

/** A zlib stream, as VMDK keeps grains. Always answers bytes. */
export function packZlib(bytes: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    zlib.deflate(bytes, { chunkSize: Math.max(bytes.length, 1024) }, (error, packed) => {
      if (error === null) resolve(packed);
      else reject(error);
    });
  });
}

/** One Zstandard frame. */
export const packZstd: Pack = async (bytes, limit) => {
  const packed = workers.readyForZstd
    ? await workers.run('zstd', new Uint8Array(bytes), ZSTD_LEVEL)
    : await packZstdHere(bytes);
  return packed.length > limit ? undefined : packed;
};

async function packZstdHere(bytes: Uint8Array): Promise<Uint8Array> {
  const { Zstd } = await import('@hpcc-js/wasm-zstd');
  return (await Zstd.load()).compress(bytes, ZSTD_LEVEL);
}

function bounded(start: (done: Callback) => void): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    start((error, packed) => {
      if (error === null) resolve(packed);
      else if ('code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') resolve(undefined);
      else reject(error);
    });
  });
}

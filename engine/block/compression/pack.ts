/**
 * Packing clusters, several at a time: Node's own zlib works in its thread pool. Zstandard is there from Node 22.15 on; older ones get
 * it as WebAssembly, which is slower and blocks.
 */
import * as zlib from 'node:zlib';

/** Packs `bytes`; undefined when the result would have more than `limit` bytes. The bytes must stay as they are until it is done. */
export type Pack = (bytes: Uint8Array, limit: number) => Promise<Uint8Array | undefined>;

/** QEMU unpacks with a window of 4 KiB (`block/qcow2-threads.c`): no more may be used. */
const QCOW2_DEFLATE = { windowBits: 12, memLevel: 9 };
/** As QEMU leaves it. */
const ZSTD_LEVEL = 3;

type Callback = (error: Error | null, result: Buffer) => void;
interface ZstdOptions {
  pledgedSrcSize: number;
  chunkSize: number;
  maxOutputLength: number;
}
type NativeZstd = (bytes: Uint8Array, options: ZstdOptions, done: Callback) => void;
const nativeZstd = (zlib as unknown as { zstdCompress?: NativeZstd }).zstdCompress;

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
  if (nativeZstd !== undefined) {
    // Knowing the size halves the work: the compressor's tables need not be those of an endless stream.
    const options = { pledgedSrcSize: bytes.length, chunkSize: bytes.length, maxOutputLength: limit };
    return await bounded((done) => nativeZstd(bytes, options, done));
  }
  const { Zstd } = await import('@hpcc-js/wasm-zstd');
  const packed = (await Zstd.load()).compress(bytes, ZSTD_LEVEL);
  return packed.length > limit ? undefined : packed;
};

function bounded(start: (done: Callback) => void): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    start((error, packed) => {
      if (error === null) resolve(packed);
      else if ('code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') resolve(undefined);
      else reject(error);
    });
  });
}

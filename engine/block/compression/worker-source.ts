/**
 * What a worker thread runs (`worker-pool.ts`). It is text, because the engine runs as TypeScript in tests and as one bundled file in
 * products: no file of its own would be found in both. It needs Node and, for Zstandard, the path of a package.
 */
export const WORKER_SOURCE = `
const { parentPort, workerData } = require('node:worker_threads');
const zlib = require('node:zlib');
let zstd;

const operations = {
  inflate: (bytes, size) =>
    zlib.inflateRawSync(bytes, {
      maxOutputLength: size,
      chunkSize: Math.max(64, size),
      finishFlush: zlib.constants.Z_SYNC_FLUSH,
    }),
  unzstd: (bytes, size) =>
    zlib.zstdDecompressSync
      ? zlib.zstdDecompressSync(bytes, { maxOutputLength: size, chunkSize: Math.max(64, size) })
      : zstd.decompress(bytes, size),
  // Knowing the size halves the work: the compressor's tables need not be those of an endless stream.
  zstd: (bytes, level) =>
    zlib.zstdCompressSync
      ? zlib.zstdCompressSync(bytes, { pledgedSrcSize: bytes.length, chunkSize: bytes.length })
      : zstd.compress(bytes, level),
};

/** The answer: nothing where the bytes went to shared memory, else memory of its own that can be handed over. */
function work({ operation, bytes, length, argument, target }) {
  try {
    const result = operations[operation](bytes.subarray(0, length), argument);
    if (target === undefined) {
      return { bytes: result.byteLength === result.buffer.byteLength ? result : new Uint8Array(result) };
    }
    if (result.length !== target.length) return { error: result.length + ' bytes came out instead of ' + target.length };
    target.set(result);
    return {};
  } catch (error) {
    return { error: String(error.message) };
  }
}

parentPort.on('message', async (batch) => {
  if (zstd === undefined && workerData.zstd !== undefined) {
    const library = require(workerData.zstd);
    await library.isLoaded;
    zstd = library;
  }
  const results = batch.map(work);
  parentPort.postMessage(results, results.flatMap(({ bytes }) => (bytes === undefined ? [] : [bytes.buffer])));
});
`;

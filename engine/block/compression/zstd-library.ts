/**
 * Zstandard itself, made of the reference sources: Node's own from 22.15 on; older ones get it as WebAssembly, which has to be loaded
 * first. A decoder written in JavaScript is no choice: on some damaged frames the one there is never ends.
 */
import { createRequire } from 'node:module';
import * as zlib from 'node:zlib';
import type { Maybe } from '../../maybe.ts';
import { once } from '../once.ts';

/** Unpacks one frame to at most `room` bytes. Throws when it is damaged or holds more. */
type Unpack = (frame: Uint8Array, room: number) => Uint8Array;

interface Options {
  chunkSize: number;
  maxOutputLength: number;
}
const { zstdDecompressSync } = zlib as unknown as {
  zstdDecompressSync?: (bytes: Uint8Array, options: Options) => Uint8Array;
};

export const NATIVE_ZSTD = zstdDecompressSync !== undefined;

let unpack: Unpack | undefined =
  zstdDecompressSync &&
  ((frame, room) => zstdDecompressSync(frame, { chunkSize: Math.max(room, 64), maxOutputLength: room }));

let loading: Promise<void> | undefined;

/** To be called, and waited for, before `unpackFrame`. */
export function prepareZstd(): Maybe<void> {
  if (unpack !== undefined) return;
  loading ??= load().then((loaded) => {
    unpack = loaded;
  });
  return loading;
}

export function unpackFrame(frame: Uint8Array, room: number): Uint8Array {
  if (unpack === undefined) throw new Error('zstd is not loaded');
  return unpack(frame, room);
}

/** The fast package where it is, else the one that is bundled. */
async function load(): Promise<Unpack> {
  const path = zstdPath();
  if (path !== undefined) {
    const library = createRequire(import.meta.url)(path) as {
      isLoaded: Promise<unknown>;
      decompress: Unpack;
    };
    await library.isLoaded;
    return (frame, room) => library.decompress(frame, room);
  }
  const { Zstd } = await import('@hpcc-js/wasm-zstd');
  const zstd = await Zstd.load();
  return (frame) => zstd.decompress(frame);
}

/** The package for worker threads; undefined where Node needs none, or it is not there: a product that was moved without it. */
export const zstdPath = once(() => (NATIVE_ZSTD ? undefined : resolvePackage()));

function resolvePackage(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve('@foxglove/wasm-zstd');
  } catch {
    return undefined;
  }
}

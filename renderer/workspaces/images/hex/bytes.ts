/** Bytes of an image, fetched in chunks as they come into view and kept for a while. */
import { shallowReactive } from 'vue';
import type { PlainError } from '#contract/error.ts';
import type { ImageHandle, ImageInfo } from '#contract/images.ts';
import { asPlainError, platter } from '../../../lib/platter.ts';
import { openKey } from '../view.ts';

/** Bytes fetched at once, and how many such chunks are kept: 4 MiB. */
export const CHUNK = 64 * 1024;
const KEPT = 64;

export class ByteCache {
  /** Grows when bytes arrive; what shows them reads it. */
  readonly state = shallowReactive<{ version: number; error: PlainError | null }>({
    version: 0,
    error: null,
  });
  readonly #chunks = new Map<number, Uint8Array>();
  readonly #wanted = new Set<number>();
  readonly #read: (offset: number, length: number) => Promise<Uint8Array>;
  readonly size: number;

  /** @param size bytes there are; nothing is asked for past them */
  constructor(size: number, read: (offset: number, length: number) => Promise<Uint8Array>) {
    this.size = size;
    this.#read = read;
  }

  /** The byte at an offset, or -1 while it is not there; asks for its chunk. */
  at(offset: number): number {
    const index = Math.floor(offset / CHUNK);
    const chunk = this.#chunks.get(index);
    if (chunk === undefined) {
      this.#ask(index);
      return -1;
    }
    return chunk[offset - index * CHUNK] ?? -1;
  }

  /** `length` bytes from `offset`, or null while some of them are not there. */
  slice(offset: number, length: number): Uint8Array | null {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.size - offset)));
    for (let i = 0; i < bytes.length; i += 1) {
      const byte = this.at(offset + i);
      if (byte < 0) return null;
      bytes[i] = byte;
    }
    return bytes;
  }

  #ask(index: number): void {
    const offset = index * CHUNK;
    if (offset >= this.size || this.#wanted.has(index)) return;
    this.#wanted.add(index);
    this.#read(offset, Math.min(CHUNK, this.size - offset)).then(
      (bytes) => {
        this.#wanted.delete(index);
        this.#chunks.set(index, bytes);
        for (const old of this.#chunks.keys()) {
          if (this.#chunks.size <= KEPT) break;
          this.#chunks.delete(old);
        }
        this.state.error = null;
        this.state.version += 1;
      },
      (error: unknown) => {
        // The chunk stays wanted, so that a failing read is not repeated with every frame.
        this.state.error = asPlainError(error);
      },
    );
  }
}

const caches = new Map<ImageHandle, { key: string; guest: ByteCache; host: ByteCache }>();

/** The bytes of one side of an image; begun anew after the image was reopened. */
export function byteCache(handle: ImageHandle, info: ImageInfo, side: 'guest' | 'host'): ByteCache {
  const key = openKey(handle, info);
  let known = caches.get(handle);
  if (known?.key !== key) {
    const cache = (of: 'guest' | 'host', size: number) =>
      new ByteCache(size, (offset, length) => platter.call('images.read', handle, of, offset, length));
    known = { key, guest: cache('guest', info.virtualSize), host: cache('host', info.fileSize) };
    caches.set(handle, known);
  }
  return known[side];
}

/** Frees the bytes of images that are no longer attached. */
export function keepCaches(handles: ImageHandle[]): void {
  for (const handle of caches.keys()) if (!handles.includes(handle)) caches.delete(handle);
}

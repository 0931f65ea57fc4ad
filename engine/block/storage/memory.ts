/** `MemoryStorage`: a sparse, growing storage in memory, for tests, overlays and the lab. */
import { PlatterError } from '../../errors.ts';
import type { Storage, StorageExtent } from './storage.ts';

/** Bytes of one page; pages exist only where something was written. */
const PAGE = 1 << 16;

export interface MemoryOptions {
  name?: string;
  readOnly?: boolean;
  /** Most bytes that pages may take together; a write past it throws `storage.no-space`. Default 1 GiB. */
  limit?: number;
}

export class MemoryStorage implements Storage {
  readonly name: string;
  readonly protocol = 'memory';
  readonly readOnly: boolean;
  readonly #limit: number;
  readonly #pages = new Map<number, Uint8Array>();
  #size: number;

  /** Of `content` bytes (all zero) or with a copy of `content`. */
  constructor(content: number | Uint8Array = 0, options: MemoryOptions = {}) {
    this.name = options.name ?? 'memory';
    this.#limit = options.limit ?? 1 << 30;
    this.#size = typeof content === 'number' ? content : content.length;
    this.readOnly = false;
    if (typeof content !== 'number') this.write(0, content);
    this.readOnly = options.readOnly ?? false;
  }

  size(): number {
    return this.#size;
  }

  read(offset: number, target: Uint8Array): void {
    if (offset < 0 || offset + target.length > this.#size) {
      throw new PlatterError('storage.short-read', `"${this.name}" ends at byte ${this.#size}`, {
        image: this.name,
        offset: this.#size,
      });
    }
    for (let done = 0; done < target.length;) {
      const at = offset + done;
      const page = this.#pages.get(Math.floor(at / PAGE));
      const within = at % PAGE;
      const count = Math.min(PAGE - within, target.length - done);
      if (page === undefined) target.fill(0, done, done + count);
      else copy(page, within, target, done, count);
      done += count;
    }
  }

  write(offset: number, source: Uint8Array): void {
    this.#writable();
    for (let done = 0; done < source.length;) {
      const at = offset + done;
      const within = at % PAGE;
      const count = Math.min(PAGE - within, source.length - done);
      copy(source, done, this.#page(Math.floor(at / PAGE)), within, count);
      done += count;
    }
    this.#size = Math.max(this.#size, offset + source.length);
  }

  writeZeroes(offset: number, length: number): void {
    this.#writable();
    const end = offset + length;
    for (let at = offset; at < end;) {
      const index = Math.floor(at / PAGE);
      const within = at % PAGE;
      const count = Math.min(PAGE - within, end - at);
      if (count === PAGE) this.#pages.delete(index);
      else this.#pages.get(index)?.fill(0, within, within + count);
      at += count;
    }
    this.#size = Math.max(this.#size, end);
  }

  truncate(size: number): void {
    this.#writable();
    if (size < this.#size) {
      this.#pages.get(Math.floor(size / PAGE))?.fill(0, size % PAGE);
      for (const index of this.#pages.keys()) if (index * PAGE >= size) this.#pages.delete(index);
    }
    this.#size = size;
  }

  flush(): void {
    // Memory is as stable as it gets.
  }

  extentAt(offset: number, length: number): StorageExtent {
    const there = this.#pages.has(Math.floor(offset / PAGE));
    let end = offset - (offset % PAGE) + PAGE;
    while (end < offset + length && this.#pages.has(end / PAGE) === there) end += PAGE;
    return { offset, length: Math.min(length, end - offset), kind: there ? 'data' : 'hole' };
  }

  allocatedSize(): number {
    return this.#pages.size * PAGE;
  }

  close(): void {
    this.#pages.clear();
  }

  #page(index: number): Uint8Array {
    let page = this.#pages.get(index);
    if (page === undefined) {
      if ((this.#pages.size + 1) * PAGE > this.#limit) {
        throw new PlatterError(
          'storage.no-space',
          `"${this.name}" may not take more than ${this.#limit} bytes of memory`,
          {
            image: this.name,
            offset: index * PAGE,
            expected: `at most ${this.#limit} bytes`,
          },
        );
      }
      page = new Uint8Array(PAGE);
      this.#pages.set(index, page);
    }
    return page;
  }

  #writable(): void {
    if (this.readOnly) {
      throw new PlatterError('storage.read-only', `"${this.name}" is open read-only`, { image: this.name });
    }
  }
}

function copy(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number, count: number): void {
  if (fromAt === 0 && count === from.length) to.set(from, toAt);
  else to.set(from.subarray(fromAt, fromAt + count), toAt);
}

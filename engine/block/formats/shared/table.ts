/**
 * A table of fixed-width entries inside an image, read a page at a time and kept in a bounded cache, so that neither the size of the
 * disk nor a hostile header decides how much memory an open takes.
 */
import type { Storage } from '../../storage/storage.ts';
import { andThen, type Maybe } from '../../../maybe.ts';

const PAGE_BYTES = 65536;
/** 32 MiB for each table: what QEMU's qcow2 takes at most for its L2 cache by default (docs/qcow2-cache.txt). */
const MAX_PAGES = 512;

export interface TableOptions {
  storage: Storage;
  /** Byte offset of entry 0. */
  offset: number;
  /** Entries. */
  count: number;
  entryBytes: 4 | 8;
  endian: 'little' | 'big';
}

export class PagedTable {
  readonly count: number;
  readonly offset: number;
  readonly #storage: Storage;
  readonly #entryBytes: 4 | 8;
  readonly #little: boolean;
  readonly #pages = new Map<number, DataView>();

  constructor(options: TableOptions) {
    this.#storage = options.storage;
    this.offset = options.offset;
    this.count = options.count;
    this.#entryBytes = options.entryBytes;
    this.#little = options.endian === 'little';
  }

  /** A 32-bit entry. */
  get(index: number): Maybe<number> {
    const at = index * this.#entryBytes;
    return andThen(this.#page(Math.floor(at / PAGE_BYTES)), (page) =>
      page.getUint32(at % PAGE_BYTES, this.#little),
    );
  }

  /** A 64-bit entry. */
  getBig(index: number): Maybe<bigint> {
    const at = index * this.#entryBytes;
    return andThen(this.#page(Math.floor(at / PAGE_BYTES)), (page) =>
      page.getBigUint64(at % PAGE_BYTES, this.#little),
    );
  }

  /** Changes a 32-bit entry in the cache and in the image. */
  set(index: number, value: number): Maybe<void> {
    return this.#change(index, (view, at) => view.setUint32(at, value, this.#little));
  }

  /** Changes a 64-bit entry in the cache and in the image. */
  setBig(index: number, value: bigint): Maybe<void> {
    return this.#change(index, (view, at) => view.setBigUint64(at, value, this.#little));
  }

  /** Forgets what is cached, after somebody else wrote the table. */
  forget(): void {
    this.#pages.clear();
  }

  #change(index: number, put: (view: DataView, at: number) => void): Maybe<void> {
    const at = index * this.#entryBytes;
    return andThen(this.#page(Math.floor(at / PAGE_BYTES)), (page) => {
      const inPage = at % PAGE_BYTES;
      put(page, inPage);
      return this.#storage.write(
        this.offset + at,
        new Uint8Array(page.buffer, page.byteOffset + inPage, this.#entryBytes),
      );
    });
  }

  #page(number: number): Maybe<DataView> {
    const cached = this.#pages.get(number);
    if (cached !== undefined) {
      return cached;
    }
    const start = number * PAGE_BYTES;
    const bytes = new Uint8Array(Math.min(PAGE_BYTES, this.count * this.#entryBytes - start));
    return andThen(this.#storage.read(this.offset + start, bytes), () => {
      // Two readers may have asked for the same page of a slow storage: the first answer stays, since a write may have changed it.
      const present = this.#pages.get(number);
      if (present !== undefined) {
        return present;
      }
      const page = new DataView(bytes.buffer);
      if (this.#pages.size >= MAX_PAGES) {
        const oldest = this.#pages.keys().next();
        if (oldest.done !== true) {
          this.#pages.delete(oldest.value);
        }
      }
      this.#pages.set(number, page);
      return page;
    });
  }
}

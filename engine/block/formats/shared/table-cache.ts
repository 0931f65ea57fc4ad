/** Many small tables of one size (L2 tables, grain tables), read when they are needed and kept in a bounded cache. */
import { andThen, type Maybe } from '../../../maybe.ts';
import { readPadded } from '../../padded.ts';
import type { Storage } from '../../storage/storage.ts';

/** 32 MiB: what QEMU's qcow2 takes at most for its L2 cache by default. */
const CACHE_BYTES = 32 << 20;

export class TableCache {
  readonly tableBytes: number;
  readonly #storage: Storage;
  readonly #limit: number;
  readonly #tables = new Map<number, DataView>();

  /** `tableBytes`: size of each table. */
  constructor(storage: Storage, tableBytes: number) {
    this.#storage = storage;
    this.tableBytes = tableBytes;
    this.#limit = Math.max(16, Math.floor(CACHE_BYTES / tableBytes));
  }

  /** The table at `offset` (bytes). One that is cut off by the end of the file reads as zeroes there. */
  get(offset: number): Maybe<DataView> {
    const cached = this.#tables.get(offset);
    if (cached !== undefined) return cached;
    const bytes = new Uint8Array(this.tableBytes);
    return andThen(readPadded(this.#storage, offset, bytes, this.#storage.name), () => {
      // Somebody else may have asked for it meanwhile, and changed it.
      const present = this.#tables.get(offset);
      if (present !== undefined) return present;
      const table = new DataView(bytes.buffer);
      if (this.#tables.size >= this.#limit) {
        const oldest = this.#tables.keys().next();
        if (oldest.done !== true) this.#tables.delete(oldest.value);
      }
      this.#tables.set(offset, table);
      return table;
    });
  }

  /** Changes `bytes` bytes at `at` of the table at `offset`, in the cache and in the image. */
  change(offset: number, at: number, bytes: number, put: (table: DataView) => void): Maybe<void> {
    return andThen(this.get(offset), (table) => {
      put(table);
      return this.#storage.write(offset + at, new Uint8Array(table.buffer, at, bytes));
    });
  }

  /** Forgets everything, after somebody else wrote tables. */
  clear(): void {
    this.#tables.clear();
  }
}

/**
 * A bounded write-back cache of table slices (L2 tables, refcount blocks), keyed by their byte in the file.
 *
 * Slices are small (4 KiB), so that one random read of a large image costs one small read of its table. Victims are chosen by
 * second chance; when all are changed, `makeRoom` has them written in the order that the image's safety demands (order.ts).
 */
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import { PlatterError } from '../../../errors.ts';
import type { Storage } from '../../storage/storage.ts';
import { truncated } from './errors.ts';

export class Slice {
  /** Byte in the file. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  dirty = false;
  /** Touched since the hand of the clock came by. */
  used = true;

  constructor(offset: number, bytes: Uint8Array) {
    this.offset = offset;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

export interface CacheOptions {
  storage: Storage;
  /** What errors call the tables: `L2 table`. */
  what: string;
  /** Bytes of one slice, and of all. */
  sliceBytes: number;
  limitBytes: number;
  /** Called before a slice is written. Throws when other metadata lies there. */
  beforeWrite?: (offset: number, length: number) => void;
  /** Writes all changed metadata of the image, this cache's included, in order. */
  makeRoom: () => Maybe<void>;
}

export class TableCache {
  readonly sliceBytes: number;
  readonly #storage: Storage;
  readonly #what: string;
  readonly #capacity: number;
  readonly #beforeWrite: ((offset: number, length: number) => void) | undefined;
  readonly #slices = new Map<number, Slice>();
  /** The ring that the clock's hand walks. */
  readonly #ring: Slice[] = [];
  #hand = 0;
  #last: Slice | undefined;
  readonly #dirty = new Set<Slice>();
  readonly #makeRoom: () => Maybe<void>;

  constructor(options: CacheOptions) {
    this.#storage = options.storage;
    this.#what = options.what;
    this.sliceBytes = options.sliceBytes;
    this.#capacity = Math.max(8, Math.floor(options.limitBytes / options.sliceBytes));
    this.#beforeWrite = options.beforeWrite;
    this.#makeRoom = options.makeRoom;
  }

  /** Bytes held now. */
  get heldBytes(): number {
    return this.#slices.size * this.sliceBytes;
  }

  /** The slice if it is in memory. */
  peek(offset: number): Slice | undefined {
    if (this.#last !== undefined && this.#last.offset === offset) return this.#last;
    const slice = this.#slices.get(offset);
    if (slice === undefined) return undefined;
    slice.used = true;
    this.#last = slice;
    return slice;
  }

  /** The slice, read from the file where needed. Use it before anything else is awaited. */
  get(offset: number): Maybe<Slice> {
    return this.peek(offset) ?? run(this.#load(offset));
  }

  markDirty(slice: Slice): void {
    if (this.#slices.get(slice.offset) !== slice)
      throw new Error('a slice was changed after it left the cache');
    slice.dirty = true;
    this.#dirty.add(slice);
  }

  /** Forgets slices within a range that was freed, dirty or not. */
  forget(offset: number, length: number): void {
    for (let at = offset; at < offset + length; at += this.sliceBytes) {
      const slice = this.#slices.get(at);
      if (slice !== undefined) this.#remove(slice);
    }
  }

  /** Forgets everything; nothing may be dirty. */
  forgetAll(): void {
    if (this.dirty) throw new Error('changed slices would be lost');
    this.#slices.clear();
    this.#ring.length = 0;
    this.#hand = 0;
    this.#last = undefined;
  }

  get dirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** Writes what is dirty, in file order. Does not flush the storage after it. */
  writeBack(): Maybe<void> {
    return this.#dirty.size === 0 ? undefined : run(this.#writeBack());
  }

  *#writeBack(): Steps<void> {
    const dirty = [...this.#dirty].sort((a, b) => a.offset - b.offset);
    for (const slice of dirty) {
      this.#beforeWrite?.(slice.offset, slice.bytes.length);
      yield* wait(this.#storage.write(slice.offset, slice.bytes));
      slice.dirty = false;
      this.#dirty.delete(slice);
    }
  }

  *#load(offset: number): Steps<Slice> {
    const bytes = new Uint8Array(this.sliceBytes);
    try {
      yield* wait(this.#storage.read(offset, bytes));
    } catch (error) {
      if (!(error instanceof PlatterError) || error.code !== 'storage.short-read') throw error;
      throw truncated(this.#what, offset, offset + this.sliceBytes, yield* wait(this.#storage.size()));
    }
    return yield* this.#insert(new Slice(offset, bytes));
  }

  *#insert(slice: Slice): Steps<Slice> {
    while (this.#ring.length >= this.#capacity) yield* this.#evict();
    // Two readers of a slow storage may have loaded it at the same time: the first one stays.
    const other = this.#slices.get(slice.offset);
    if (other !== undefined) return other;
    this.#slices.set(slice.offset, slice);
    this.#ring.push(slice);
    this.#last = slice;
    return slice;
  }

  *#evict(): Steps<void> {
    for (let step = 0; step < this.#ring.length * 2; step++) {
      this.#hand = (this.#hand + 1) % this.#ring.length;
      const slice = this.#ring[this.#hand];
      if (!slice.used && !slice.dirty) {
        this.#remove(slice, this.#hand);
        return;
      }
      slice.used = false;
    }
    yield* wait(this.#makeRoom());
    const victim = this.#ring.find((slice) => !slice.dirty);
    if (victim !== undefined) this.#remove(victim);
  }

  #remove(slice: Slice, index = this.#ring.indexOf(slice)): void {
    slice.dirty = false;
    this.#dirty.delete(slice);
    this.#slices.delete(slice.offset);
    if (this.#last === slice) this.#last = undefined;
    const tail = this.#ring.pop();
    if (tail !== undefined && tail !== slice) this.#ring[index] = tail;
  }
}

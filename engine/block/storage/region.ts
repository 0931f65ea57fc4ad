/** A stretch of a storage as a storage of its own: a header inside a file, a partition, a format behind other bytes. */
import type { Maybe } from '../../maybe.ts';
import { andThen } from '../../maybe.ts';
import { PlatterError } from '../../errors.ts';
import type { Storage, StorageExtent } from './storage.ts';

export class StorageRegion implements Storage {
  readonly name: string;
  readonly protocol: string;
  readonly readOnly: boolean;
  readonly #inner: Storage;
  readonly #start: number;
  readonly #length: number;

  /** `length` bytes from `start` on. The inner storage stays its owner's to close. */
  constructor(inner: Storage, start: number, length: number) {
    this.name = inner.name;
    this.protocol = inner.protocol;
    this.readOnly = inner.readOnly;
    this.#inner = inner;
    this.#start = start;
    this.#length = length;
  }

  size(): number {
    return this.#length;
  }

  read(offset: number, target: Uint8Array): Maybe<void> {
    this.#check(offset, target.length);
    return this.#inner.read(this.#start + offset, target);
  }

  write(offset: number, source: Uint8Array): Maybe<void> {
    this.#check(offset, source.length);
    return this.#inner.write(this.#start + offset, source);
  }

  writeZeroes(offset: number, length: number): Maybe<void> {
    this.#check(offset, length);
    return this.#inner.writeZeroes(this.#start + offset, length);
  }

  /** The region keeps its length; a shorter size is only not used up. */
  truncate(size: number): void {
    this.#check(0, size);
  }

  flush(): Maybe<void> {
    return this.#inner.flush();
  }

  extentAt(offset: number, length: number): Maybe<StorageExtent> {
    this.#check(offset, length);
    return andThen(this.#inner.extentAt(this.#start + offset, length), (extent) => ({ ...extent, offset }));
  }

  allocatedSize(): undefined {
    return undefined;
  }

  close(): void {
    // The inner storage belongs to somebody else.
  }

  #check(offset: number, length: number): void {
    if (offset >= 0 && length >= 0 && offset + length <= this.#length) return;
    throw new PlatterError('storage.short-read', `"${this.name}" ends at byte ${this.#length}`, {
      image: this.name,
      offset: this.#length,
    });
  }
}

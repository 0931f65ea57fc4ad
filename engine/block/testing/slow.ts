/** A storage that answers later, and not in order: what a server is to the code above. */
import type { Storage, StorageExtent } from '../storage/storage.ts';

export class SlowStorage implements Storage {
  readonly #inner: Storage;
  #count = 0;

  constructor(inner: Storage) {
    this.#inner = inner;
  }

  get name(): string {
    return this.#inner.name;
  }

  get protocol(): string {
    return this.#inner.protocol;
  }

  get readOnly(): boolean {
    return this.#inner.readOnly;
  }

  size(): Promise<number> {
    return this.#later(() => this.#inner.size());
  }

  read(offset: number, target: Uint8Array): Promise<void> {
    return this.#later(() => this.#inner.read(offset, target));
  }

  write(offset: number, source: Uint8Array): Promise<void> {
    const copy = source.slice();
    return this.#later(() => this.#inner.write(offset, copy));
  }

  writeZeroes(offset: number, length: number): Promise<void> {
    return this.#later(() => this.#inner.writeZeroes(offset, length));
  }

  truncate(size: number): Promise<void> {
    return this.#later(() => this.#inner.truncate(size));
  }

  flush(): Promise<void> {
    return this.#later(() => this.#inner.flush());
  }

  extentAt(offset: number, length: number): Promise<StorageExtent> {
    return this.#later(() => this.#inner.extentAt(offset, length));
  }

  allocatedSize(): Promise<number | undefined> {
    return this.#later(() => this.#inner.allocatedSize());
  }

  close(): Promise<void> {
    return this.#later(() => this.#inner.close());
  }

  /** Every third call waits for a turn of the event loop, the others for one or two microtasks. */
  async #later<T>(call: () => T | Promise<T>): Promise<T> {
    this.#count++;
    if (this.#count % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    else if (this.#count % 3 === 1) await Promise.resolve();
    return call();
  }
}

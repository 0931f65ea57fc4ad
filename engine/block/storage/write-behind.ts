/**
 * A new file that is filled from start to end by one job: large writes go on in Node's thread pool while the job reads on, so that two
 * processors copy. Nothing is promised about order until `flush`; for files that nobody sees before they are complete.
 */
import type { Maybe } from '../../maybe.ts';
import type { FileStorage } from './file.ts';
import type { Storage, StorageExtent } from './storage.ts';

/** Smaller writes are done at once: handing one to another thread costs some ten microseconds. */
const LEAST = 128 << 10;
/** Writes under way; Node's pool has four threads. */
const MOST = 3;

interface Pending {
  offset: number;
  end: number;
  done: Promise<void>;
}

export class WriteBehind implements Storage {
  readonly file: FileStorage;
  readonly name: string;
  readonly protocol: string;
  readonly readOnly = false;
  readonly #pending: Pending[] = [];
  /** As far as the file reaches once everything is written. */
  #end = 0;
  #failure: Error | undefined;

  /** Takes over `file`, which is open for writing. */
  constructor(file: FileStorage) {
    this.file = file;
    this.name = file.name;
    this.protocol = file.protocol;
  }

  size(): number {
    return this.#pending.length === 0 ? this.file.size() : Math.max(this.file.size(), this.#end);
  }

  read(offset: number, target: Uint8Array): Maybe<void> {
    if (this.#pending.length === 0) return this.file.read(offset, target);
    return this.settle().then(() => this.file.read(offset, target));
  }

  /** `source` must stay as it is until `settle`. */
  write(offset: number, source: Uint8Array): Maybe<void> {
    this.#check();
    const end = offset + source.length;
    if (this.#pending.some((other) => offset < other.end && end > other.offset))
      return this.settle().then(() => this.write(offset, source));
    if (source.length < LEAST) return this.file.write(offset, source);
    this.#end = Math.max(this.#end, end);
    const pending: Pending = { offset, end, done: this.#start(offset, source) };
    this.#pending.push(pending);
    void pending.done.then(() => this.#pending.splice(this.#pending.indexOf(pending), 1));
    return this.#pending.length > MOST ? this.#pending[0].done.then(() => this.#check()) : undefined;
  }

  writeZeroes(offset: number, length: number): Maybe<void> {
    if (this.#pending.length === 0) return this.file.writeZeroes(offset, length);
    return this.settle().then(() => this.file.writeZeroes(offset, length));
  }

  truncate(size: number): Maybe<void> {
    if (this.#pending.length === 0) return this.file.truncate(size);
    return this.settle().then(() => this.file.truncate(size));
  }

  flush(): Maybe<void> {
    this.#check();
    if (this.#pending.length === 0) return this.file.flush();
    return this.settle().then(() => this.file.flush());
  }

  extentAt(offset: number, length: number): StorageExtent {
    return { offset, length, kind: 'data' };
  }

  allocatedSize(): number {
    return this.file.allocatedSize();
  }

  close(): Maybe<void> {
    if (this.#pending.length === 0) return this.file.close();
    // Whoever closes without having flushed gives the file up: only the descriptor must outlive its writes.
    return Promise.all(this.#pending.map(({ done }) => done)).then(() => this.file.close());
  }

  /** Resolves when all writes are done; rejects when one of them failed. */
  async settle(): Promise<void> {
    while (this.#pending.length > 0) await this.#pending[0].done;
    this.#check();
  }

  /** Never rejects: the failure is kept for whoever comes next. */
  async #start(offset: number, source: Uint8Array): Promise<void> {
    try {
      await this.file.writeLater(offset, source);
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

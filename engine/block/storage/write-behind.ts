/**
 * A new file that is filled from start to end by one job: large writes go on in Node's thread pool while the job reads on, so that two
 * processors copy. Nothing is promised about order until `flush`; for files that nobody sees before they are complete.
 */
import { closeSync, constants, openSync, write } from 'node:fs';
import { fileError } from './file-error.ts';
import { FileStorage } from './file.ts';
import type { Maybe } from '../../maybe.ts';

/** Smaller writes are done at once: handing one to another thread costs some ten microseconds. */
const LEAST = 128 << 10;
/** Writes under way; Node's pool has four threads. */
const MOST = 3;

interface Pending {
  offset: number;
  end: number;
  done: Promise<void>;
}

/** Opens a file that exists, for writing. Throws what opening a file throws. */
export function openWriteBehind(path: string): WriteBehindFile {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR);
  } catch (error) {
    throw fileError(error, path.replace(/.*[/\\]/, ''), 'open');
  }
  try {
    return new WriteBehindFile(fd, path, false);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

export class WriteBehindFile extends FileStorage {
  readonly #pending: Pending[] = [];
  /** As far as the file reaches once everything is written. */
  #end = 0;
  /** What the base class writes on its own account it expects to be done. */
  #plain = false;
  #failure: { error: unknown } | undefined;

  override size(): number {
    return this.#pending.length === 0 ? super.size() : Math.max(super.size(), this.#end);
  }

  override read(offset: number, target: Uint8Array): Maybe<void> {
    if (this.#pending.length === 0) return super.read(offset, target);
    return this.settle().then(() => super.read(offset, target));
  }

  /** `source` must stay as it is until `settle`. */
  override write(offset: number, source: Uint8Array): Maybe<void> {
    this.#check();
    const end = offset + source.length;
    if (this.#pending.some((other) => offset < other.end && end > other.offset))
      return this.settle().then(() => this.write(offset, source));
    if (source.length < LEAST || this.#plain) return super.write(offset, source);
    this.#end = Math.max(this.#end, end);
    const pending: Pending = { offset, end, done: this.#start(offset, source) };
    this.#pending.push(pending);
    void pending.done.then(() => this.#pending.splice(this.#pending.indexOf(pending), 1));
    if (this.#pending.length > MOST) return this.#pending[0].done.then(() => this.#check());
  }

  override writeZeroes(offset: number, length: number): Maybe<void> {
    if (this.#pending.length === 0) return this.#zero(offset, length);
    return this.settle().then(() => this.#zero(offset, length));
  }

  override truncate(size: number): Maybe<void> {
    if (this.#pending.length === 0) return super.truncate(size);
    return this.settle().then(() => super.truncate(size));
  }

  override flush(): Maybe<void> {
    if (this.#pending.length === 0) {
      this.#check();
      return super.flush();
    }
    return this.settle().then(() => super.flush());
  }

  override close(): Maybe<void> {
    if (this.#pending.length === 0) return super.close();
    // Whoever closes without having flushed gives the file up: only the descriptor must outlive its writes.
    return Promise.all(this.#pending.map(({ done }) => done)).then(() => super.close());
  }

  /** Resolves when all writes are done; rejects when one of them failed. */
  async settle(): Promise<void> {
    while (this.#pending.length > 0) await this.#pending[0].done;
    this.#check();
  }

  #zero(offset: number, length: number): void {
    this.#plain = true;
    try {
      super.writeZeroes(offset, length);
    } finally {
      this.#plain = false;
    }
  }

  /** Never rejects: the failure is kept for whoever comes next. */
  async #start(offset: number, source: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < source.length;)
        done += await this.#some(offset + done, source.subarray(done));
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  #some(offset: number, source: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.descriptor, source, 0, source.length, offset, (error, count) => {
        if (error === null) resolve(count);
        else reject(fileError(error, this.name, 'write', offset));
      });
    });
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/**
 * The access layer: `FormatNode` makes a `BlockNode` out of any format driver. It asks the driver where the bytes are and does the
 * I/O: data from its storage in as few calls as extents, zeroes, the backing image for what is unallocated.
 */
import { PlatterError } from '../errors.ts';
import { andThen, isPromise, run, wait, type Maybe, type Steps } from '../maybe.ts';
import { ExtentSlot, type FormatDriver } from './format.ts';
import { OperationLock } from './lock.ts';
import type { BlockExtent, BlockNode } from './node.ts';
import { readPadded } from './padded.ts';
import { checkRange, readOrZero } from './range.ts';
import { readDriverLater } from './read-later.ts';

export class FormatNode implements BlockNode {
  readonly format: FormatDriver;
  readonly name: string;
  readonly readOnly: boolean;
  readonly #lock = new OperationLock();
  #slot = new ExtentSlot();

  constructor(format: FormatDriver, name: string) {
    this.format = format;
    this.name = name;
    this.readOnly = format.readOnly || format.write === undefined;
  }

  get driver(): string {
    return this.format.format;
  }

  get virtualSize(): number {
    return this.format.virtualSize;
  }

  get clusterSize(): number | undefined {
    return this.format.clusterSize;
  }

  get backing(): BlockNode | undefined {
    return this.format.backing;
  }

  map(offset: number, length: number): Maybe<BlockExtent> {
    checkRange(this, offset, length);
    const slot = new ExtentSlot();
    const located = this.#lock.shared(() => this.format.locate(offset, length, slot));
    return andThen(located, () => toExtent(offset, slot));
  }

  holesAre(offset: number): ReturnType<NonNullable<BlockNode['holesAre']>> {
    return this.#lock.shared(() => this.format.holesAre?.(offset));
  }

  read(offset: number, target: Uint8Array): Maybe<void> {
    checkRange(this, offset, target.length);
    if (!this.#lock.idle) return this.#lock.shared(() => this.#read(offset, target, 0));
    return this.#lock.trackShared(this.#read(offset, target, 0));
  }

  readLater(offset: number, target: Uint8Array): Maybe<void> {
    checkRange(this, offset, target.length);
    return this.#lock.shared(() => run(readDriverLater(this.format, this.name, offset, target)));
  }

  write(offset: number, source: Uint8Array): Maybe<void> {
    this.#checkWrite(offset, source.length);
    const done = this.#lock.idle ? this.#writeInPlace(offset, source, 0) : 0;
    if (done === source.length) return;
    if (typeof done === 'number') return run(this.#writeRest(offset, source, done));
    return andThen(this.#lock.trackShared(done), (count) => run(this.#writeRest(offset, source, count)));
  }

  writeZeroes(offset: number, length: number, unmap = false): Maybe<void> {
    this.#checkWrite(offset, length);
    if (length === 0) return;
    return this.#lock.exclusive(() => this.format.writeZeroes?.(offset, length, unmap));
  }

  discard(offset: number, length: number): Maybe<void> {
    this.#checkWrite(offset, length);
    if (length === 0) return;
    return this.#lock.exclusive(() => this.format.discard?.(offset, length));
  }

  flush(): Maybe<void> {
    return this.#lock.exclusive(() => this.format.flush());
  }

  close(): Maybe<void> {
    return run(this.#close());
  }

  /** Runs `operation` while nothing else touches the driver: for checks and jobs that change tables. */
  alone<T>(operation: () => Maybe<T>): Maybe<T> {
    return this.#lock.exclusive(operation);
  }

  *#close(): Steps<void> {
    try {
      if (!this.readOnly) yield* wait(this.flush());
    } finally {
      yield* wait(this.#lock.exclusive(() => this.format.close()));
      yield* wait(this.backing?.close());
    }
  }

  /** From `done` on; leaves the stack only when a storage does. */
  #read(offset: number, target: Uint8Array, done: number): Maybe<void> {
    while (done < target.length) {
      const slot = this.#slot;
      const located = this.format.locate(offset + done, target.length - done, slot);
      if (isPromise(located)) {
        // The slot now belongs to that promise.
        this.#slot = new ExtentSlot();
        const from = done;
        return located.then(() =>
          andThen(this.#readExtent(offset + from, target, from, slot), () =>
            this.#read(offset, target, from + slot.length),
          ),
        );
      }
      const next = done + slot.length;
      const moved = this.#readExtent(offset + done, target, done, slot);
      if (isPromise(moved)) return moved.then(() => this.#read(offset, target, next));
      done = next;
    }
  }

  #readExtent(offset: number, target: Uint8Array, done: number, slot: ExtentSlot): Maybe<void> {
    const { length, storage, hostOffset } = slot;
    const part = length === target.length ? target : target.subarray(done, done + length);
    switch (slot.kind) {
      case 'data':
        if (storage === undefined) throw noStorage(this);
        return readPadded(storage, hostOffset, part, this.name, this.clusterSize);
      case 'zero':
        part.fill(0);
        return;
      case 'unallocated':
        return readOrZero(this.backing, offset, part);
      case 'special':
        if (this.format.readSpecial === undefined) throw noStorage(this);
        return this.format.readSpecial(offset, part);
    }
  }

  /** Overwrites until the driver is needed; the number of bytes of `source` that are written. */
  #writeInPlace(offset: number, source: Uint8Array, done: number): Maybe<number> {
    while (done < source.length) {
      const slot = this.#slot;
      const located = this.format.locate(offset + done, source.length - done, slot);
      if (isPromise(located)) {
        this.#slot = new ExtentSlot();
        const from = done;
        return located.then(() => this.#overwrite(offset, source, from, slot));
      }
      const written = this.#overwriteOne(source, done, slot);
      if (isPromise(written)) {
        const next = done + slot.length;
        return written.then(() => this.#writeInPlace(offset, source, next));
      }
      if (!written) return done;
      done += slot.length;
    }
    return done;
  }

  #overwrite(offset: number, source: Uint8Array, done: number, slot: ExtentSlot): Maybe<number> {
    const length = slot.length;
    return andThen(this.#overwriteOne(source, done, slot), (written) =>
      written ? this.#writeInPlace(offset, source, done + length) : done,
    );
  }

  /** `false` when the extent cannot be overwritten in place. */
  #overwriteOne(source: Uint8Array, done: number, slot: ExtentSlot): Maybe<boolean> {
    if (slot.kind !== 'data' || !slot.writable || slot.storage === undefined) return false;
    const { length } = slot;
    const part = length === source.length ? source : source.subarray(done, done + length);
    const written = slot.storage.write(slot.hostOffset, part);
    return isPromise(written) ? written.then(() => true) : true;
  }

  /** The way through the driver, for as much as is not plain data from `done` on, and in place again after it. */
  *#writeRest(offset: number, source: Uint8Array, done: number): Steps<void> {
    while (done < source.length) {
      const from = done;
      done = yield* wait(this.#lock.shared(() => this.#writeInPlace(offset, source, from)));
      if (done === source.length) return;
      const start = done;
      done = yield* wait(this.#lock.exclusive(() => run(this.#allocate(offset, source, start))));
    }
  }

  /** Hands the driver everything up to the next stretch that can be overwritten in place. */
  *#allocate(offset: number, source: Uint8Array, done: number): Steps<number> {
    const slot = new ExtentSlot();
    let end = done;
    while (end < source.length) {
      yield* wait(this.format.locate(offset + end, source.length - end, slot));
      if (slot.kind === 'data' && slot.writable) break;
      end += slot.length;
    }
    if (end > done) yield* wait(this.format.write?.(offset + done, source.subarray(done, end)));
    return end;
  }

  #checkWrite(offset: number, length: number): void {
    if (this.readOnly) {
      throw new PlatterError('block.read-only', `"${this.name}" is open read-only`, {
        image: this.name,
        hint: 'Open it for writing.',
      });
    }
    checkRange(this, offset, length);
  }
}

function toExtent(offset: number, slot: ExtentSlot): BlockExtent {
  const extent: BlockExtent = { offset, length: slot.length, kind: slot.kind };
  if (slot.storage !== undefined) extent.storage = slot.storage;
  if (slot.hostOffset >= 0) extent.hostOffset = slot.hostOffset;
  if (slot.compressed) extent.compressed = true;
  if (slot.encrypted) extent.encrypted = true;
  return extent;
}

function noStorage(node: BlockNode): PlatterError {
  return new PlatterError(
    'block.unreadable',
    `The ${node.driver} driver of "${node.name}" cannot read this range`,
    {
      image: node.name,
    },
  );
}

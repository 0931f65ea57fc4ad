/** A storage that remembers the order of writes and flushes, to make the files that a power cut could leave behind. */
import type { Storage, StorageExtent } from '../storage/storage.ts';

interface Written {
  offset: number;
  bytes: Uint8Array;
  /** Flushes that had returned before it. */
  epoch: number;
}

export class RecordingStorage implements Storage {
  readonly name = 'recorded';
  readonly protocol = 'memory';
  readonly readOnly = false;
  readonly log: Written[] = [];
  #epoch = 0;
  #bytes: Uint8Array<ArrayBuffer>;
  readonly #start: Uint8Array<ArrayBuffer>;

  constructor(start: Uint8Array) {
    this.#start = start.slice();
    this.#bytes = start.slice();
  }

  get epochs(): number {
    return this.#epoch;
  }

  size(): number {
    return this.#bytes.length;
  }

  read(offset: number, target: Uint8Array): void {
    if (offset + target.length > this.#bytes.length) throw new RangeError(`read past the end at ${offset}`);
    target.set(this.#bytes.subarray(offset, offset + target.length));
  }

  write(offset: number, source: Uint8Array): void {
    this.log.push({ offset, bytes: source.slice(), epoch: this.#epoch });
    this.#bytes = applied(this.#bytes, offset, source);
  }

  writeZeroes(offset: number, length: number): void {
    this.write(offset, new Uint8Array(length));
  }

  truncate(size: number): void {
    if (size > this.#bytes.length) this.writeZeroes(this.#bytes.length, size - this.#bytes.length);
  }

  flush(): void {
    this.#epoch++;
  }

  extentAt(offset: number, length: number): StorageExtent {
    return { offset, length, kind: 'data' };
  }

  allocatedSize(): number {
    return this.#bytes.length;
  }

  close(): void {
    // The record stays.
  }

  /** What is there when the power fails during `epoch`: all writes before it, and those of it that `kept` says. */
  after(epoch: number, kept: (index: number) => boolean): Uint8Array {
    let bytes = this.#start.slice();
    this.log.forEach((one, index) => {
      if (one.epoch < epoch || (one.epoch === epoch && kept(index))) {
        bytes = applied(bytes, one.offset, one.bytes);
      }
    });
    return bytes;
  }
}

function applied(
  bytes: Uint8Array<ArrayBuffer>,
  offset: number,
  source: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const end = offset + source.length;
  let target = bytes;
  if (end > bytes.length) {
    target = new Uint8Array(end);
    target.set(bytes);
  }
  target.set(source, offset);
  return target;
}

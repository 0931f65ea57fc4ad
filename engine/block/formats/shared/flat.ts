/** A disk that lies in one piece in its file: a fixed VHD, a flat VMDK extent. */
import type { Maybe } from '../../../maybe.ts';
import type { ExtentSlot } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';

export class FlatArea {
  readonly storage: Storage;
  readonly #start: number;

  /** `start`: the disk's first byte in `storage`. */
  constructor(storage: Storage, start: number) {
    this.storage = storage;
    this.#start = start;
  }

  /** Fills `out`; `writable` where the image may be overwritten in place. */
  locate(offset: number, length: number, out: ExtentSlot, writable: boolean): void {
    out.data(length, this.storage, this.#start + offset, writable);
  }

  write(offset: number, source: Uint8Array): Maybe<void> {
    return this.storage.write(this.#start + offset, source);
  }

  writeZeroes(offset: number, length: number): Maybe<void> {
    return this.storage.writeZeroes(this.#start + offset, length);
  }
}

/**
 * VIRTIO_F_IN_ORDER on the driver's side (virtio 1.2, sections 2.7.9 and 2.8.9): one used element may stand for a batch. It names the
 * last chain of the batch; those before it were used completely.
 */
import { PlatterError } from '../../errors.ts';

export class ChainsInOrder {
  readonly #ids: Uint16Array;
  readonly #bytes: Uint32Array;
  readonly #size: number;
  /** Chains made and chains taken back so far. */
  #made = 0;
  #taken = 0;
  /** Chains that the last used element stands for and that were not taken yet, and the bytes that it tells of for the last one. */
  #batch = 0;
  #lastLength = 0;
  /** Bytes that the device wrote into the chain that `next` answered. */
  length = 0;

  constructor(size: number) {
    this.#size = size;
    this.#ids = new Uint16Array(size);
    this.#bytes = new Uint32Array(size);
  }

  made(id: number, writableBytes: number): void {
    const at = this.#made++ % this.#size;
    this.#ids[at] = id;
    this.#bytes[at] = writableBytes;
  }

  /** Whether chains of the last used element are still to be taken. */
  get waiting(): boolean {
    return this.#batch > 0;
  }

  /** The device returned everything up to the chain `id`. Throws `virtio.used-id` when that is not in flight. */
  usedUpTo(id: number, length: number): void {
    for (let at = this.#taken; at < this.#made; at++) {
      if (this.#ids[at % this.#size] !== id) continue;
      this.#batch = at - this.#taken + 1;
      this.#lastLength = length;
      return;
    }
    throw new PlatterError('virtio.used-id', `the device returned chain ${id}, which it does not hold`, {
      field: 'id',
      value: String(id),
    });
  }

  /** The next chain of the batch. */
  next(): number {
    const at = this.#taken++ % this.#size;
    this.length = --this.#batch === 0 ? this.#lastLength : this.#bytes[at];
    return this.#ids[at];
  }
}

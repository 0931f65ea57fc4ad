/**
 * A chain of descriptors that the device took off a queue: a copy of everything that was read, so that nothing a driver changes
 * afterwards matters. Elements are kept and used again.
 */
import { PlatterError } from '../../errors.ts';

const FREE = 0;
const POPPED = 1;

export class QueueElement {
  /** The first descriptor's index: the `id` of the used element. */
  head = 0;
  /** Buffers that the device reads, first in the arrays, and those that it writes, after them. */
  outCount = 0;
  inCount = 0;
  /** Total bytes of each kind. */
  outBytes = 0;
  inBytes = 0;
  /** Where each buffer lies in guest memory's host buffer, bytes. */
  offsets = new Float64Array(8);
  /** Bytes of each buffer. */
  lengths = new Uint32Array(8);
  /** Which request it belongs to in the trace, 0 for none. */
  requestId = 0;
  /** Place in the queue's pool: who uses the queue keeps its own state by it. */
  readonly slot: number;
  #state = FREE;

  constructor(slot: number) {
    this.slot = slot;
  }

  get popped(): boolean {
    return this.#state === POPPED;
  }

  /** Empties it for the next chain. */
  begin(head: number): this {
    this.head = head;
    this.outCount = 0;
    this.inCount = 0;
    this.outBytes = 0;
    this.inBytes = 0;
    this.#state = POPPED;
    return this;
  }

  add(offset: number, length: number, writable: boolean): void {
    const at = this.outCount + this.inCount;
    if (at === this.offsets.length) this.#grow();
    this.offsets[at] = offset;
    this.lengths[at] = length;
    if (writable) {
      this.inCount++;
      this.inBytes += length;
    } else {
      this.outCount++;
      this.outBytes += length;
    }
  }

  #grow(): void {
    const offsets = new Float64Array(this.offsets.length * 2);
    const lengths = new Uint32Array(this.lengths.length * 2);
    offsets.set(this.offsets);
    lengths.set(this.lengths);
    this.offsets = offsets;
    this.lengths = lengths;
  }

  /** Marks it given back. Throws `virtio.completed-twice` when it is not popped. */
  finish(): void {
    if (this.#state !== POPPED) {
      throw new PlatterError('virtio.completed-twice', `descriptor chain ${this.head} was completed twice`, {
        field: 'id',
        value: String(this.head),
      });
    }
    this.#state = FREE;
  }

  /** Given back without completion: the queue was reset. */
  drop(): void {
    this.#state = FREE;
  }
}

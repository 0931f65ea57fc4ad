/**
 * A chain of descriptors that the device took off a queue: a copy of everything that was read, so that nothing a driver changes
 * afterwards matters. Elements are kept and used again.
 */
import { PlatterError } from '../../errors.ts';
import type { PlainChain } from './plain.ts';

const FREE = 0;
const POPPED = 1;

export class QueueElement {
  /** The first descriptor's index in a split queue, the buffer id in a packed one: what the device gives back. */
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
  /** Descriptors of the ring itself that it takes (an indirect table counts as one). */
  descriptors = 0;
  /** Kept by a queue that gives elements back in order: bytes written, and whether the device is done with it. */
  written = 0;
  done = false;
  /** Place in the queue's pool: who uses the queue keeps its own state by it. */
  readonly slot: number;
  #state = FREE;

  constructor(slot: number) {
    this.slot = slot;
  }

  get popped(): boolean {
    return this.#state === POPPED;
  }

  /** It is the device's now. */
  take(head: number): void {
    this.head = head;
    this.done = false;
    this.#state = POPPED;
  }

  /** Becomes the element of a plain chain. */
  adopt(chain: PlainChain): void {
    const { offsets, lengths } = this;
    offsets[0] = chain.header;
    lengths[0] = chain.headerLength;
    offsets[1] = chain.data;
    lengths[1] = chain.dataLength;
    offsets[2] = chain.status;
    lengths[2] = chain.statusLength;
    this.outCount = chain.writable ? 1 : 2;
    this.inCount = 3 - this.outCount;
    this.outBytes = chain.headerLength + (chain.writable ? 0 : chain.dataLength);
    this.inBytes = chain.statusLength + (chain.writable ? chain.dataLength : 0);
    this.descriptors = chain.descriptors;
    this.take(chain.head);
  }

  /** Room for twice as many buffers. */
  grow(): void {
    const offsets = new Float64Array(this.offsets.length * 2);
    const lengths = new Uint32Array(this.lengths.length * 2);
    offsets.set(this.offsets);
    lengths.set(this.lengths);
    this.offsets = offsets;
    this.lengths = lengths;
  }

  /** Marks it given back. Throws `virtio.completed-twice` when it is not popped. */
  finish(): void {
    if (this.#state !== POPPED) throw completedTwice(this.head);
    this.#state = FREE;
  }

  /** Given back without completion: the queue was reset. */
  drop(): void {
    this.#state = FREE;
  }
}

export function completedTwice(head: number): PlatterError {
  return new PlatterError('virtio.completed-twice', `descriptor chain ${head} was completed twice`, {
    field: 'id',
    value: String(head),
  });
}

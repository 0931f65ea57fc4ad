/**
 * What the device's halves of both layouts share in reading a chain of descriptors: each descriptor is copied once, every buffer must
 * lie wholly in one region of guest memory, device-readable ones come first, and the chain is bounded in buffers and bytes before any
 * of it is used. Written without a call for each descriptor: this is the hottest loop of the device.
 */
import type { GuestMemory } from '../../machine/memory.ts';
import type { QueueElement } from './element.ts';
import { broken } from './errors.ts';
import { DESC_F_WRITE, DESC_SIZE } from './layout.ts';
import type { PlainChain } from './plain.ts';

/** Section 2.7.5.2 and 2.8.6. */
const LONGEST_CHAIN = 0x1_0000_0000;

export class ChainReader {
  readonly #memory: GuestMemory;
  /** The region that the last buffer lay in: first address, end, and what to add for the place in the buffer. */
  low = 0;
  high = 0;
  shift = 0;
  /** The element being filled. */
  #element!: QueueElement;
  #count = 0;
  #bytes = 0;
  #inCount = 0;
  #inBytes = 0;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  /**
   * Three descriptors at words `first`, `second` and `third` of memory as a plain chain. False when one does not lie in the region
   * of the last buffer, or is empty.
   */
  plain(chain: PlainChain, words: Uint32Array, first: number, second: number, third: number): boolean {
    const { low, high, shift } = this;
    const header = words[first];
    const headerLength = words[first + 2];
    const data = words[second];
    const dataLength = words[second + 2];
    const status = words[third];
    const statusLength = words[third + 2];
    if ((words[first + 1] | words[second + 1] | words[third + 1]) !== 0) return false;
    if (headerLength === 0 || dataLength === 0 || statusLength === 0) return false;
    if (header < low || data < low || status < low) return false;
    if (header + headerLength > high || data + dataLength > high || status + statusLength > high)
      return false;
    chain.header = header + shift;
    chain.headerLength = headerLength;
    chain.data = data + shift;
    chain.dataLength = dataLength;
    chain.status = status + shift;
    chain.statusLength = statusLength;
    return true;
  }

  begin(element: QueueElement): void {
    this.#element = element;
    this.#count = this.#bytes = this.#inCount = this.#inBytes = 0;
  }

  /** Adds one buffer of the chain; `index` is the descriptor's, for messages. Throws `virtio.desc-…`. */
  add(address: number, length: number, flags: number, index: number): void {
    const element = this.#element;
    const count = this.#count;
    if ((flags & DESC_F_WRITE) !== 0) {
      this.#inCount++;
      this.#inBytes += length;
    } else if (this.#inCount > 0) throw broken('virtio.desc-order', index);
    if (length === 0) throw broken('virtio.desc-empty', index);
    this.#bytes += length;
    if (this.#bytes > LONGEST_CHAIN) throw broken('virtio.desc-too-long', this.#bytes);
    const inside = address >= this.low && address + length <= this.high;
    const offset = inside ? address + this.shift : this.#locate(address, length);
    if (count === element.offsets.length) element.grow();
    element.offsets[count] = offset;
    element.lengths[count] = length;
    this.#count = count + 1;
  }

  /** The chain is whole. */
  end(): void {
    const element = this.#element;
    element.inCount = this.#inCount;
    element.inBytes = this.#inBytes;
    element.outCount = this.#count - this.#inCount;
    element.outBytes = this.#bytes - this.#inBytes;
  }

  /** Where the bytes lie in the buffer, and remembers the region. Throws `virtio.desc-address`. */
  #locate(address: number, length: number): number {
    const offset = this.#memory.locate(address, length);
    if (offset < 0) throw broken('virtio.desc-address', `0x${address.toString(16)}+${length}`, address);
    for (const region of this.#memory.regions) {
      if (address >= region.base && address + length <= region.base + region.size) {
        this.low = region.base;
        this.high = region.base + region.size;
        this.shift = region.offset - region.base;
      }
    }
    return offset;
  }

  /** Where an indirect table lies. Throws `virtio.indirect-length` and `virtio.desc-address`. */
  table(address: number, length: number): number {
    if (length === 0 || length % DESC_SIZE !== 0) throw broken('virtio.indirect-length', length, address);
    const table = this.#memory.locate(address, length);
    if (table < 0) throw broken('virtio.desc-address', `0x${address.toString(16)}`, address);
    return table;
  }

  /** The four words of a descriptor that does not lie on a boundary of its words. */
  unaligned(at: number): Uint32Array {
    return new Uint32Array(this.#memory.bytes.slice(at, at + DESC_SIZE).buffer);
  }
}

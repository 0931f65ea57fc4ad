/**
 * The device's half of a packed virtqueue (virtio 1.2, section 2.8): one ring of descriptors that driver and device write in turn, and
 * wrap counters that say whose a descriptor is. It trusts nothing, as split-device.ts.
 */
import type { GuestMemory } from '../../machine/memory.ts';
import { ChainReader } from './chain.ts';
import type { QueueElement } from './element.ts';
import { ElementPool } from './elements.ts';
import { broken } from './errors.ts';
import { InOrder } from './in-order.ts';
import { DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, DESC_LEN, DESC_SIZE, QUEUE_SIZE_MAX } from './layout.ts';
import {
  EVENT_BYTES,
  EVENT_F_DESC,
  EVENT_F_DISABLE,
  EVENT_F_ENABLE,
  EVENT_FLAGS,
  isAvailable,
  PACKED_FLAGS,
  PACKED_ID,
  packedBytes,
  packedNeedEvent,
  usedFlags,
  WRAP,
} from './packed-layout.ts';
import type { PlainChain } from './plain.ts';
import type { DeviceQueue, QueueAddresses, QueueFeatures } from './queue.ts';

const DESC_WORDS = DESC_SIZE / 4;
/** Bytes of an indirect table of three. */
const PLAIN_TABLE = 3 * DESC_SIZE;
/** Flags where they are in a descriptor's last word. */
const NEXT = DESC_F_NEXT << 16;
const WRITE = DESC_F_WRITE << 16;
const INDIRECT = DESC_F_INDIRECT << 16;

export class PackedDeviceQueue implements DeviceQueue {
  readonly layout = 'packed';
  readonly size: number;
  /** Descriptors of the ring that belong to chains taken and not yet given back. */
  inFlight = 0;
  /** Section 2.8.1: the next descriptor to look at, and the wrap counter that it is compared with. */
  lastAvailIdx = 0;
  availWrap = true;
  /** Where the next used descriptor goes, and the wrap counter that it is written with. */
  usedIdx = 0;
  usedWrap = true;
  readonly #memory: GuestMemory;
  readonly #desc: number;
  readonly #driverEvent: number;
  readonly #deviceEvent: number;
  readonly #indirect: boolean;
  readonly #eventIdx: boolean;
  readonly #chain: ChainReader;
  readonly #elements = new ElementPool();
  readonly #order: InOrder | undefined;
  /** Plain chains may take the short way: the ring lies on a boundary of its words, and answers need no order. */
  readonly #short: boolean;
  /** Chains filled and not yet visible; the flags of the first of them are written last. */
  #filled = 0;
  #firstAt = 0;
  #firstFlags = 0;
  #signalled = 0;
  #signalledValid = false;
  #news = false;
  /** Descriptors of the chain that `#walk` read. */
  #descriptors = 0;

  /** Throws `virtio.packed-size` or `virtio.queue-address`. */
  constructor(memory: GuestMemory, at: QueueAddresses, features: QueueFeatures) {
    const { size } = at;
    if (!Number.isInteger(size) || size < 1 || size > QUEUE_SIZE_MAX) {
      throw broken('virtio.packed-size', size);
    }
    this.#memory = memory;
    this.size = size;
    this.#desc = memory.locate(at.desc, packedBytes(size));
    this.#driverEvent = memory.locate(at.driver, EVENT_BYTES);
    this.#deviceEvent = memory.locate(at.device, EVENT_BYTES);
    if (this.#desc < 0) throw broken('virtio.queue-address', `0x${at.desc.toString(16)}`, at.desc);
    if (this.#driverEvent < 0) throw broken('virtio.queue-address', `0x${at.driver.toString(16)}`, at.driver);
    if (this.#deviceEvent < 0) throw broken('virtio.queue-address', `0x${at.device.toString(16)}`, at.device);
    this.#indirect = features.indirect;
    this.#eventIdx = features.eventIdx;
    this.#chain = new ChainReader(memory);
    this.#order = features.inOrder === true ? new InOrder() : undefined;
    this.#short = this.#order === undefined && (this.#desc & 3) === 0;
  }

  pop(): QueueElement | null {
    const first = this.lastAvailIdx;
    const element = this.#elements.peek();
    const id = this.#walk(element, first);
    if (id < 0) return null;
    const count = this.#descriptors;
    if (this.inFlight + count > this.size) throw broken('virtio.in-flight', this.inFlight + count);
    this.#elements.taken();
    element.take(id);
    element.descriptors = count;
    this.#order?.taken(element);
    this.#took(first, count);
    return element;
  }

  /** Reads the chain that starts at `first` and answers its buffer id; -1 when that descriptor is not available. */
  #walk(element: QueueElement, first: number): number {
    const chain = this.#chain;
    const size = this.size;
    let index = first;
    let seen = 0;
    chain.begin(element);
    for (;;) {
      const at = this.#desc + index * DESC_SIZE;
      const aligned = (at & 3) === 0;
      const words = aligned ? this.#memory.words : chain.unaligned(at);
      const word = aligned ? at >>> 2 : 0;
      const tail = words[word + 3];
      const flags = tail >>> 16;
      if (seen === 0 && !isAvailable(flags, this.availWrap)) return -1;
      // As in QEMU the wrap counter is looked at in the first descriptor only: the driver writes that one last (section 2.8.6).
      if (++seen > size) throw broken('virtio.desc-loop', seen);
      const high = words[word + 1];
      const address = high === 0 ? words[word] : high * 0x1_0000_0000 + words[word];
      const length = words[word + 2];
      if ((flags & DESC_F_INDIRECT) !== 0) {
        if (!this.#indirect) throw broken('virtio.indirect-not-negotiated', index);
        if (seen > 1 || (flags & DESC_F_NEXT) !== 0) throw broken('virtio.indirect-next', index);
        this.#readTable(address, length);
        this.#descriptors = 1;
        chain.end();
        return tail & 0xffff;
      }
      chain.add(address, length, flags, index);
      if ((flags & DESC_F_NEXT) === 0) {
        this.#descriptors = seen;
        chain.end();
        return tail & 0xffff;
      }
      if (++index === size) index = 0;
    }
  }

  /** Section 2.8.7: a table's descriptors follow each other; of their flags only WRITE means anything. */
  #readTable(address: number, length: number): void {
    const chain = this.#chain;
    const table = chain.table(address, length);
    const entries = length / DESC_SIZE;
    if (entries > this.size) throw broken('virtio.desc-loop', entries);
    for (let index = 0; index < entries; index++) {
      const at = table + index * DESC_SIZE;
      const aligned = (at & 3) === 0;
      const words = aligned ? this.#memory.words : chain.unaligned(at);
      const word = aligned ? at >>> 2 : 0;
      const flags = words[word + 3] >>> 16;
      if ((flags & DESC_F_INDIRECT) !== 0) throw broken('virtio.indirect-nested', index);
      const high = words[word + 1];
      chain.add(high === 0 ? words[word] : high * 0x1_0000_0000 + words[word], words[word + 2], flags, index);
    }
  }

  popPlain(chain: PlainChain): boolean {
    const first = this.lastAvailIdx;
    const { size } = this;
    if (!this.#short) return false;
    const { words } = this.#memory;
    let ring = this.#desc >>> 2;
    let at = ring + first * DESC_WORDS;
    let tail = words[at + 3];
    if (!isAvailable(tail >>> 16, this.availWrap)) return false;
    let descriptors = 3;
    let round = size;
    let place = first;
    let id = tail & 0xffff;
    if ((tail & INDIRECT) !== 0) {
      const address = words[at];
      if (!this.#indirect || (tail & NEXT) !== 0 || words[at + 1] !== 0) return false;
      if (words[at + 2] !== PLAIN_TABLE || address < this.#chain.low) return false;
      const table = address + this.#chain.shift;
      if (address + PLAIN_TABLE > this.#chain.high || (table & 3) !== 0) return false;
      descriptors = 1;
      ring = at = table >>> 2;
      round = 3;
      place = 0;
      tail = words[at + 3];
    }
    if (this.inFlight + descriptors > size || size < descriptors) return false;
    // In a table only WRITE means anything (section 2.8.7); in the ring NEXT says how far the chain goes.
    const next = descriptors === 1 ? 0 : NEXT;
    if ((tail & (WRITE | INDIRECT)) !== 0 || (tail & next) !== next) return false;
    const second = ring + ((place + 1) % round) * DESC_WORDS;
    tail = words[second + 3];
    if ((tail & INDIRECT) !== 0 || (tail & next) !== next) return false;
    chain.writable = (tail & WRITE) !== 0;
    const third = ring + ((place + 2) % round) * DESC_WORDS;
    tail = words[third + 3];
    if ((tail & (WRITE | INDIRECT)) !== WRITE || (tail & next) !== 0) return false;
    if (!this.#chain.plain(chain, words, at, second, third)) return false;
    if (descriptors === 3) id = tail & 0xffff;
    chain.head = id;
    chain.descriptors = descriptors;
    this.#took(first, descriptors);
    return true;
  }

  /** The chain that starts at `first` and takes so many descriptors is the device's now. */
  #took(first: number, descriptors: number): void {
    this.inFlight += descriptors;
    this.lastAvailIdx = first + descriptors;
    if (this.lastAvailIdx < this.size) return;
    this.lastAvailIdx -= this.size;
    this.availWrap = !this.availWrap;
  }

  adopt(chain: PlainChain): QueueElement {
    const element = this.#elements.peek();
    this.#elements.taken();
    element.adopt(chain);
    return element;
  }

  completePlain(chain: PlainChain, written: number): boolean {
    this.#write(chain.head, written, chain.descriptors);
    this.flush();
    return this.shouldNotify();
  }

  fill(element: QueueElement, written: number): void {
    if (this.#order !== undefined) {
      this.#order.done(element, written);
      return;
    }
    this.#elements.finish(element);
    this.#write(element.head, written, element.descriptors);
  }

  /** Writes the next used descriptor and skips as many as its chain (or its batch) took (section 2.8.2). */
  #write(id: number, written: number, descriptors: number): void {
    const { view } = this.#memory;
    const at = this.#desc + this.usedIdx * DESC_SIZE;
    // Section 2.8.5: WRITE says that there is a length; QEMU leaves it out, and drivers take the length anyway.
    const flags = usedFlags(this.usedWrap) | (written > 0 ? DESC_F_WRITE : 0);
    this.#memory.dirty(at + DESC_LEN, 8);
    view.setUint32(at + DESC_LEN, written, true);
    view.setUint16(at + PACKED_ID, id, true);
    if (this.#filled++ === 0) {
      this.#firstAt = at;
      this.#firstFlags = flags;
    } else {
      view.setUint16(at + PACKED_FLAGS, flags, true);
    }
    this.inFlight -= descriptors;
    this.usedIdx += descriptors;
    if (this.usedIdx < this.size) return;
    this.usedIdx -= this.size;
    this.usedWrap = !this.usedWrap;
    // As QEMU: once around, the last signalled position says nothing any more.
    this.#signalledValid = false;
  }

  /** Section 2.8.9: one used descriptor for as many chains as it may stand for. Answers how many there were. */
  #fillInOrder(order: InOrder): number {
    let chains = 0;
    for (let ready = order.ready; ready > 0;) {
      const count = order.batch(ready);
      let descriptors = 0;
      for (let i = 0; i < count; i++) {
        const element = order.shift();
        if (element === undefined) return chains;
        this.#elements.finish(element);
        descriptors += element.descriptors;
        if (i === count - 1) this.#write(element.head, element.written, descriptors);
      }
      chains += count;
      ready -= count;
    }
    return chains;
  }

  flush(): number {
    const batched = this.#order === undefined ? 0 : this.#fillInOrder(this.#order);
    const filled = this.#filled;
    if (filled === 0) return 0;
    // Section 2.8.2: the first one's flags make all of them visible.
    this.#memory.view.setUint16(this.#firstAt + PACKED_FLAGS, this.#firstFlags, true);
    this.#filled = 0;
    this.#news = true;
    return this.#order === undefined ? filled : batched;
  }

  shouldNotify(): boolean {
    // Nothing new: what is done waits for something before it (IN_ORDER).
    if (!this.#news) return false;
    this.#news = false;
    const { view } = this.#memory;
    const before = this.#signalled;
    const valid = this.#signalledValid;
    this.#signalled = this.usedIdx;
    this.#signalledValid = true;
    const flags = view.getUint16(this.#driverEvent + EVENT_FLAGS, true);
    if (flags === EVENT_F_DISABLE) return false;
    if (flags === EVENT_F_ENABLE) return true;
    const offWrap = view.getUint16(this.#driverEvent, true);
    return !valid || packedNeedEvent(offWrap, this.size, this.usedWrap, this.usedIdx, before);
  }

  setNotification(wanted: boolean): boolean {
    const { view } = this.#memory;
    this.#memory.dirty(this.#deviceEvent, EVENT_BYTES);
    if (!wanted) {
      view.setUint16(this.#deviceEvent + EVENT_FLAGS, EVENT_F_DISABLE, true);
    } else if (this.#eventIdx) {
      view.setUint16(this.#deviceEvent, this.lastAvailIdx | (this.availWrap ? WRAP : 0), true);
      view.setUint16(this.#deviceEvent + EVENT_FLAGS, EVENT_F_DESC, true);
    } else {
      view.setUint16(this.#deviceEvent + EVENT_FLAGS, EVENT_F_ENABLE, true);
    }
    const flags = view.getUint16(this.#desc + this.lastAvailIdx * DESC_SIZE + PACKED_FLAGS, true);
    return isAvailable(flags, this.availWrap);
  }

  drop(): void {
    this.#elements.dropAll();
    this.#order?.clear();
    this.inFlight = 0;
  }
}

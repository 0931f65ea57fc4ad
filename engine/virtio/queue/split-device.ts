/**
 * The device's half of a split virtqueue (virtio 1.2, section 2.7). It trusts nothing: every index and address is checked, every
 * field of guest memory is read once, and a chain is bounded in descriptors and bytes before any of it is used.
 */
import type { GuestMemory } from '../../machine/memory.ts';
import { QueueElement } from './element.ts';
import { broken } from './errors.ts';
import {
  AVAIL_F_NO_INTERRUPT,
  AVAIL_IDX,
  AVAIL_RING,
  availBytes,
  DESC_F_INDIRECT,
  DESC_F_NEXT,
  DESC_F_WRITE,
  DESC_SIZE,
  descBytes,
  needEvent,
  QUEUE_SIZE_MAX,
  USED_ELEM,
  USED_F_NO_NOTIFY,
  USED_IDX,
  USED_RING,
  usedBytes,
} from './layout.ts';
import type { DeviceQueue, QueueAddresses, QueueFeatures } from './queue.ts';

const LONGEST_CHAIN = 0x1_0000_0000;

export class SplitDeviceQueue implements DeviceQueue {
  readonly size: number;
  inFlight = 0;
  /** Section 2.7.6: the device's own index into the available ring, modulo 2^16. */
  lastAvailIdx = 0;
  /** The used index as it will be published next, modulo 2^16. */
  usedIdx = 0;
  readonly #memory: GuestMemory;
  readonly #desc: number;
  readonly #avail: number;
  readonly #used: number;
  readonly #mask: number;
  readonly #indirect: boolean;
  readonly #eventIdx: boolean;
  /** The available index as it was last read. */
  #availIdx = 0;
  #published = 0;
  #signalled = 0;
  #signalledValid = false;
  readonly #elements: QueueElement[] = [];
  readonly #free: QueueElement[] = [];

  /** Throws `virtio.queue-size` or `virtio.queue-address`. */
  constructor(memory: GuestMemory, at: QueueAddresses, features: QueueFeatures) {
    const { size } = at;
    if (!Number.isInteger(size) || size < 1 || size > QUEUE_SIZE_MAX || (size & (size - 1)) !== 0) {
      throw broken('virtio.queue-size', size);
    }
    this.#memory = memory;
    this.size = size;
    this.#mask = size - 1;
    this.#desc = memory.locate(at.desc, descBytes(size));
    this.#avail = memory.locate(at.driver, availBytes(size));
    this.#used = memory.locate(at.device, usedBytes(size));
    if (this.#desc < 0) throw broken('virtio.queue-address', `0x${at.desc.toString(16)}`, at.desc);
    if (this.#avail < 0) throw broken('virtio.queue-address', `0x${at.driver.toString(16)}`, at.driver);
    if (this.#used < 0) throw broken('virtio.queue-address', `0x${at.device.toString(16)}`, at.device);
    this.#indirect = features.indirect;
    this.#eventIdx = features.eventIdx;
  }

  pop(): QueueElement | null {
    const view = this.#memory.view;
    if (this.#availIdx === this.lastAvailIdx) {
      const idx = view.getUint16(this.#avail + AVAIL_IDX, true);
      const ahead = (idx - this.lastAvailIdx) & 0xffff;
      if (ahead === 0) return null;
      if (ahead > this.size) throw broken('virtio.avail-index', idx);
      this.#availIdx = idx;
    }
    if (this.inFlight >= this.size) throw broken('virtio.in-flight', this.inFlight + 1);
    const head = view.getUint16(this.#avail + AVAIL_RING + (this.lastAvailIdx & this.#mask) * 2, true);
    if (head >= this.size) throw broken('virtio.avail-head', head);
    const element = (this.#free.pop() ?? this.#newElement()).begin(head);
    try {
      this.#walk(element, head);
    } catch (error) {
      this.#release(element);
      throw error;
    }
    this.lastAvailIdx = (this.lastAvailIdx + 1) & 0xffff;
    // As QEMU's virtqueue_split_pop does: while it looks, the device asks to hear of the very next chain.
    if (this.#eventIdx) this.#writeAvailEvent();
    this.inFlight++;
    return element;
  }

  #newElement(): QueueElement {
    const element = new QueueElement(this.#elements.length);
    this.#elements.push(element);
    return element;
  }

  #release(element: QueueElement): void {
    element.drop();
    this.#free.push(element);
  }

  #walk(element: QueueElement, head: number): void {
    const memory = this.#memory;
    const size = this.size;
    let table = this.#desc;
    let entries = size;
    let index = head;
    let seen = 0;
    let bytes = 0;
    for (;;) {
      if (++seen > size) throw broken('virtio.desc-loop', seen);
      const at = table + index * DESC_SIZE;
      // A table may lie anywhere; each of its words is read once, and what follows works on these copies.
      const aligned = (at & 3) === 0;
      const words = aligned ? memory.words : this.#copyOf(at);
      const word = aligned ? at >>> 2 : 0;
      const low = words[word];
      const high = words[word + 1];
      const length = words[word + 2];
      const tail = words[word + 3];
      const flags = tail & 0xffff;
      const address = high === 0 ? low : high * 0x1_0000_0000 + low;
      if ((flags & DESC_F_INDIRECT) !== 0) {
        if (!this.#indirect) throw broken('virtio.indirect-not-negotiated', index);
        if (table !== this.#desc) throw broken('virtio.indirect-nested', index);
        if ((flags & DESC_F_NEXT) !== 0) throw broken('virtio.indirect-next', index);
        if (length === 0 || length % DESC_SIZE !== 0) throw broken('virtio.indirect-length', length, address);
        table = memory.locate(address, length);
        if (table < 0) throw broken('virtio.desc-address', `0x${address.toString(16)}`, address);
        entries = length / DESC_SIZE;
        index = 0;
        // The descriptor that names the table is not part of the chain that the table holds.
        seen--;
        continue;
      }
      const writable = (flags & DESC_F_WRITE) !== 0;
      if (!writable && element.inCount > 0) throw broken('virtio.desc-order', index);
      if (length === 0) throw broken('virtio.desc-empty', index);
      bytes += length;
      if (bytes > LONGEST_CHAIN) throw broken('virtio.desc-too-long', bytes);
      const offset = memory.locate(address, length);
      if (offset < 0) throw broken('virtio.desc-address', `0x${address.toString(16)}+${length}`, address);
      element.add(offset, length, writable);
      if ((flags & DESC_F_NEXT) === 0) return;
      index = tail >>> 16;
      if (index >= entries) throw broken('virtio.desc-next', index);
    }
  }

  /** A descriptor that does not lie on a boundary of its words. */
  #copyOf(at: number): Uint32Array {
    const copy = new Uint8Array(DESC_SIZE);
    copy.set(this.#memory.bytes.subarray(at, at + DESC_SIZE));
    return new Uint32Array(copy.buffer);
  }

  fill(element: QueueElement, written: number): void {
    element.finish();
    const at = this.#used + USED_RING + (this.usedIdx & this.#mask) * USED_ELEM;
    this.#memory.dirty(at, USED_ELEM);
    this.#memory.view.setUint32(at, element.head, true);
    this.#memory.view.setUint32(at + 4, written, true);
    this.usedIdx = (this.usedIdx + 1) & 0xffff;
    this.inFlight--;
    this.#free.push(element);
  }

  flush(): number {
    const count = (this.usedIdx - this.#published) & 0xffff;
    this.#memory.dirty(this.#used + USED_IDX, 2);
    this.#memory.view.setUint16(this.#used + USED_IDX, this.usedIdx, true);
    // Section 2.7.7.2 and QEMU's virtqueue_split_flush: once around, the last signalled index says nothing any more.
    if (((this.usedIdx - this.#signalled) & 0xffff) < count) this.#signalledValid = false;
    this.#published = this.usedIdx;
    return count;
  }

  shouldNotify(): boolean {
    const view = this.#memory.view;
    if (!this.#eventIdx) return (view.getUint16(this.#avail, true) & AVAIL_F_NO_INTERRUPT) === 0;
    const before = this.#signalled;
    const valid = this.#signalledValid;
    this.#signalled = this.#published;
    this.#signalledValid = true;
    const event = view.getUint16(this.#avail + AVAIL_RING + this.size * 2, true);
    return !valid || needEvent(event, this.#published, before);
  }

  setNotification(wanted: boolean): boolean {
    const { view } = this.#memory;
    if (this.#eventIdx) {
      // Section 2.7.10.2: avail_event is written; the flags stay 0. Not wanting any is leaving the old value behind.
      if (wanted) this.#writeAvailEvent();
    } else {
      this.#memory.dirty(this.#used, 2);
      view.setUint16(this.#used, wanted ? 0 : USED_F_NO_NOTIFY, true);
    }
    return view.getUint16(this.#avail + AVAIL_IDX, true) !== this.lastAvailIdx;
  }

  #writeAvailEvent(): void {
    const at = this.#used + USED_RING + this.size * USED_ELEM;
    this.#memory.dirty(at, 2);
    this.#memory.view.setUint16(at, this.lastAvailIdx, true);
  }

  drop(): void {
    for (const element of this.#elements) {
      if (element.popped) this.#release(element);
    }
    this.inFlight = 0;
  }
}

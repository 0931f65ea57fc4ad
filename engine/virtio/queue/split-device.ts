/**
 * The device's half of a split virtqueue (virtio 1.2, section 2.7). It trusts nothing: every index and address is checked, every
 * field of guest memory is read once, and a chain is bounded in descriptors and bytes before any of it is used.
 */
import type { GuestMemory } from '../../machine/memory.ts';
import { ChainReader } from './chain.ts';
import type { QueueElement } from './element.ts';
import { ElementPool } from './elements.ts';
import { broken } from './errors.ts';
import { InOrder } from './in-order.ts';
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
import type { PlainChain } from './plain.ts';
import type { DeviceQueue, QueueAddresses, QueueFeatures } from './queue.ts';

const DESC_WORDS = DESC_SIZE / 4;
/** Bytes of an indirect table of three. */
const PLAIN_TABLE = 3 * DESC_SIZE;
const FLAGS = DESC_F_NEXT | DESC_F_WRITE | DESC_F_INDIRECT;

export class SplitDeviceQueue implements DeviceQueue {
  readonly layout = 'split';
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
  readonly #notifyOnEmpty: boolean;
  readonly #chain: ChainReader;
  readonly #elements = new ElementPool();
  readonly #order: InOrder | undefined;
  /** Plain chains may take the short way: every part lies on a boundary of its words, and answers need no order. */
  readonly #short: boolean;
  /** The available index as it was last read. */
  #availIdx = 0;
  #published = 0;
  #signalled = 0;
  #signalledValid = false;

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
    this.#notifyOnEmpty = features.notifyOnEmpty === true;
    this.#chain = new ChainReader(memory);
    this.#order = features.inOrder === true ? new InOrder() : undefined;
    this.#short = this.#order === undefined && ((this.#desc | this.#avail | this.#used) & 3) === 0;
  }

  pop(): QueueElement | null {
    const view = this.#memory.view;
    const last = this.lastAvailIdx;
    if (this.#availIdx === last) {
      const idx = view.getUint16(this.#avail + AVAIL_IDX, true);
      const ahead = (idx - last) & 0xffff;
      if (ahead === 0) return null;
      if (ahead > this.size) throw broken('virtio.avail-index', idx);
      this.#availIdx = idx;
    }
    if (this.inFlight >= this.size) throw broken('virtio.in-flight', this.inFlight + 1);
    const head = view.getUint16(this.#avail + AVAIL_RING + (last & this.#mask) * 2, true);
    if (head >= this.size) throw broken('virtio.avail-head', head);
    const element = this.#elements.peek();
    this.#walk(element, head);
    this.#elements.taken();
    element.take(head);
    this.#order?.taken(element);
    this.lastAvailIdx = (last + 1) & 0xffff;
    // As QEMU's virtqueue_split_pop does: while it looks, the device asks to hear of the very next chain.
    if (this.#eventIdx) this.#writeAvailEvent();
    this.inFlight++;
    return element;
  }

  #walk(element: QueueElement, head: number): void {
    const chain = this.#chain;
    const size = this.size;
    let table = this.#desc;
    let entries = size;
    let index = head;
    let seen = 0;
    chain.begin(element);
    for (;;) {
      if (++seen > size) throw broken('virtio.desc-loop', seen);
      const at = table + index * DESC_SIZE;
      // A table may lie anywhere; each of its words is read once, and what follows works on these copies.
      const aligned = (at & 3) === 0;
      const words = aligned ? this.#memory.words : chain.unaligned(at);
      const word = aligned ? at >>> 2 : 0;
      const low = words[word];
      const high = words[word + 1];
      const length = words[word + 2];
      const tail = words[word + 3];
      const address = high === 0 ? low : high * 0x1_0000_0000 + low;
      if ((tail & DESC_F_INDIRECT) !== 0) {
        if (!this.#indirect) throw broken('virtio.indirect-not-negotiated', index);
        if (table !== this.#desc) throw broken('virtio.indirect-nested', index);
        if ((tail & DESC_F_NEXT) !== 0) throw broken('virtio.indirect-next', index);
        table = chain.table(address, length);
        entries = length / DESC_SIZE;
        index = 0;
        // The descriptor that names the table is not part of the chain that the table holds.
        seen--;
        continue;
      }
      chain.add(address, length, tail, index);
      if ((tail & DESC_F_NEXT) === 0) break;
      index = tail >>> 16;
      if (index >= entries) throw broken('virtio.desc-next', index);
    }
    chain.end();
  }

  popPlain(chain: PlainChain): boolean {
    if (!this.#short) return false;
    const { halves, words } = this.#memory;
    const { size } = this;
    const avail = this.#avail >>> 1;
    const last = this.lastAvailIdx;
    if (this.#availIdx === last) {
      const idx = halves[avail + AVAIL_IDX / 2];
      const ahead = (idx - last) & 0xffff;
      if (ahead === 0 || ahead > size) return false;
      this.#availIdx = idx;
    }
    const head = halves[avail + AVAIL_RING / 2 + (last & this.#mask)];
    if (head >= size || this.inFlight >= size) return false;
    let table = this.#desc >>> 2;
    let entries = size;
    let first = table + head * DESC_WORDS;
    let tail = words[first + 3];
    if ((tail & DESC_F_INDIRECT) !== 0) {
      const address = words[first];
      if (!this.#indirect || (tail & DESC_F_NEXT) !== 0 || words[first + 1] !== 0) return false;
      if (words[first + 2] !== PLAIN_TABLE || address < this.#chain.low) return false;
      const at = address + this.#chain.shift;
      if (address + PLAIN_TABLE > this.#chain.high || (at & 3) !== 0) return false;
      table = first = at >>> 2;
      entries = 3;
      tail = words[first + 3];
    }
    if ((tail & FLAGS) !== DESC_F_NEXT || tail >>> 16 >= entries) return false;
    const second = table + (tail >>> 16) * DESC_WORDS;
    tail = words[second + 3];
    if ((tail & (DESC_F_NEXT | DESC_F_INDIRECT)) !== DESC_F_NEXT || tail >>> 16 >= entries) return false;
    const third = table + (tail >>> 16) * DESC_WORDS;
    chain.writable = (tail & DESC_F_WRITE) !== 0;
    if ((words[third + 3] & FLAGS) !== DESC_F_WRITE) return false;
    if (!this.#chain.plain(chain, words, first, second, third)) return false;
    chain.head = head;
    chain.descriptors = 3;
    this.lastAvailIdx = (last + 1) & 0xffff;
    if (this.#eventIdx) this.#writeAvailEvent();
    this.inFlight++;
    return true;
  }

  adopt(chain: PlainChain): QueueElement {
    const element = this.#elements.peek();
    this.#elements.taken();
    element.adopt(chain);
    return element;
  }

  completePlain(chain: PlainChain, written: number): boolean {
    const memory = this.#memory;
    const { words, halves } = memory;
    const idx = this.usedIdx;
    const at = this.#used + USED_RING + (idx & this.#mask) * USED_ELEM;
    memory.dirty(at, USED_ELEM);
    words[at >>> 2] = chain.head;
    words[(at >>> 2) + 1] = written;
    this.usedIdx = (idx + 1) & 0xffff;
    this.inFlight--;
    if (this.#published !== idx || this.#eventIdx || this.#notifyOnEmpty) {
      this.flush();
      return this.shouldNotify();
    }
    memory.dirty(this.#used + USED_IDX, 2);
    halves[(this.#used + USED_IDX) >>> 1] = this.#published = this.usedIdx;
    return (halves[this.#avail >>> 1] & AVAIL_F_NO_INTERRUPT) === 0;
  }

  fill(element: QueueElement, written: number): void {
    if (this.#order !== undefined) {
      this.#order.done(element, written);
      return;
    }
    this.#elements.finish(element);
    this.#write(element.head, written);
    this.usedIdx = (this.usedIdx + 1) & 0xffff;
    this.inFlight--;
  }

  /** Writes the next used element. */
  #write(head: number, written: number): void {
    const at = this.#used + USED_RING + (this.usedIdx & this.#mask) * USED_ELEM;
    const memory = this.#memory;
    memory.dirty(at, USED_ELEM);
    memory.view.setUint32(at, head, true);
    memory.view.setUint32(at + 4, written, true);
  }

  /** Section 2.7.9: one used element for as many chains as it may stand for; the index skips them all. */
  #flushInOrder(order: InOrder): void {
    for (let ready = order.ready; ready > 0;) {
      const count = order.batch(ready);
      for (let i = 0; i < count; i++) {
        const element = order.shift();
        if (element === undefined) return;
        this.#elements.finish(element);
        if (i === count - 1) this.#write(element.head, element.written);
      }
      this.usedIdx = (this.usedIdx + count) & 0xffff;
      this.inFlight -= count;
      ready -= count;
    }
  }

  flush(): number {
    if (this.#order !== undefined) this.#flushInOrder(this.#order);
    const idx = this.usedIdx;
    const count = (idx - this.#published) & 0xffff;
    this.#memory.dirty(this.#used + USED_IDX, 2);
    this.#memory.view.setUint16(this.#used + USED_IDX, idx, true);
    // Section 2.7.7.2 and QEMU's virtqueue_split_flush: once around, the last signalled index says nothing any more.
    if (((idx - this.#signalled) & 0xffff) < count) this.#signalledValid = false;
    this.#published = idx;
    return count;
  }

  shouldNotify(): boolean {
    const view = this.#memory.view;
    const before = this.#signalled;
    // Nothing new: what is done waits for something before it (IN_ORDER).
    if (this.#order !== undefined && before === this.#published) return false;
    this.#signalled = this.#published;
    if (this.#notifyOnEmpty && this.inFlight === 0 && !this.#isOffered) return true;
    if (!this.#eventIdx) return (view.getUint16(this.#avail, true) & AVAIL_F_NO_INTERRUPT) === 0;
    const valid = this.#signalledValid;
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
    return this.#isOffered;
  }

  get #isOffered(): boolean {
    return this.#memory.view.getUint16(this.#avail + AVAIL_IDX, true) !== this.lastAvailIdx;
  }

  #writeAvailEvent(): void {
    const at = this.#used + USED_RING + this.size * USED_ELEM;
    this.#memory.dirty(at, 2);
    this.#memory.view.setUint16(at, this.lastAvailIdx, true);
  }

  drop(): void {
    this.#elements.dropAll();
    this.#order?.clear();
    this.inFlight = 0;
  }
}

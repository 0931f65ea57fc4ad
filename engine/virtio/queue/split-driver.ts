/**
 * The driver's half of a split virtqueue (virtio 1.2, sections 2.7.13 and 2.7.14), for the simulated guest and as the mock driver of
 * every device's tests. It lays the queue out in guest memory, builds chains without allocating, and takes used buffers back.
 */
import { PlatterError } from '../../errors.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { highWord } from '../../trace/ring.ts';
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
  USED_ELEM,
  USED_F_NO_NOTIFY,
  USED_IDX,
  USED_RING,
  usedBytes,
} from './layout.ts';
import { ChainsInOrder } from './driver-order.ts';
import type { DriverQueue, QueueAddresses, QueueFeatures } from './queue.ts';

export interface DriverQueueOptions extends QueueFeatures {
  /** Descriptors of one indirect table; tables are kept one for each head, behind the rings. */
  indirectEntries?: number;
  /** Boundary on which the used ring begins, bytes: 4, or 4096 on a legacy transport (section 2.7.2). */
  usedAlign?: number;
}

const align = (value: number, to: number): number => Math.ceil(value / to) * to;

/** Bytes of guest memory that a queue takes from a 4096-byte boundary on. */
export function splitQueueBytes(size: number, indirectEntries = 0, usedAlign = 4): number {
  const rings = align(align(descBytes(size) + availBytes(size), usedAlign) + usedBytes(size), 16);
  return align(rings + size * indirectEntries * DESC_SIZE, 4096);
}

export class SplitDriverQueue implements DriverQueue {
  readonly layout = 'split';
  readonly addresses: QueueAddresses;
  /** Free descriptors of the table. */
  free: number;
  /** The last used element that `take` read. */
  usedHead = 0;
  usedLength = 0;
  /** Section 2.7.14: the driver's own index into the used ring, modulo 2^16. */
  lastUsedIdx = 0;
  /** The available index as published, modulo 2^16. */
  availIdx = 0;
  /** For every descriptor the request that holds it, 0 when free: for the trace and the screen. */
  readonly requestOf: Uint32Array;
  readonly #memory: GuestMemory;
  readonly #size: number;
  readonly #mask: number;
  readonly #desc: number;
  readonly #avail: number;
  readonly #used: number;
  readonly #tables: number;
  readonly #tablesAddress: number;
  readonly #indirectEntries: number;
  readonly #eventIdx: boolean;
  readonly #order: ChainsInOrder | undefined;
  /** The driver's own copy of the free list and of chain lengths: what the device could scribble over is not trusted. */
  readonly #next: Uint16Array;
  readonly #chain: Uint16Array;
  readonly #tailOf: Uint16Array;
  #freeHead = 0;
  #freeTail: number;
  #kicked = 0;
  // The chain being built.
  #head = 0;
  #last = 0;
  #left = 0;
  #count = 0;
  #requestId = 0;
  #writableBytes = 0;
  #indirectNow = false;

  /** `base` must be aligned to 4096, in the guest and in the buffer, and have `splitQueueBytes` bytes. */
  constructor(memory: GuestMemory, base: number, size: number, options: DriverQueueOptions) {
    this.#memory = memory;
    this.#size = size;
    this.#mask = size - 1;
    this.#eventIdx = options.eventIdx;
    this.#order = options.inOrder === true ? new ChainsInOrder(size) : undefined;
    this.#freeTail = size - 1;
    this.#indirectEntries = options.indirect ? (options.indirectEntries ?? 0) : 0;
    const avail = base + descBytes(size);
    const usedAlign = options.usedAlign ?? 4;
    const used = align(avail + availBytes(size), usedAlign);
    this.addresses = { size, desc: base, driver: avail, device: used };
    const total = splitQueueBytes(size, this.#indirectEntries, usedAlign);
    const start = memory.require(base, total);
    memory.dirty(start, total);
    memory.bytes.fill(0, start, start + total);
    this.#desc = start;
    this.#avail = start + (avail - base);
    this.#used = start + (used - base);
    this.#tablesAddress = align(used + usedBytes(size), 16);
    this.#tables = start + (this.#tablesAddress - base);
    this.free = size;
    this.#next = Uint16Array.from({ length: size }, (_, i) => i + 1);
    this.#chain = new Uint16Array(size);
    this.#tailOf = new Uint16Array(size);
    this.requestOf = new Uint32Array(size);
  }

  /** The head that the chain begun last will have. */
  get nextHead(): number {
    return this.#head;
  }

  /** Begins a chain of `count` buffers for request `requestId`. False when there are not enough free descriptors. */
  begin(count: number, requestId = 0): boolean {
    // Sections 2.7.5.3.1 and 2.8.19: no chain is longer than the queue, however it is described.
    this.#indirectNow = count > 1 && count <= this.#indirectEntries && count <= this.#size;
    if (this.free < (this.#indirectNow ? 1 : count)) return false;
    this.#head = this.#freeHead;
    this.#left = count;
    this.#count = 0;
    this.#requestId = requestId;
    this.#writableBytes = 0;
    return true;
  }

  /** Adds one buffer: guest physical address and bytes; device-readable ones first. */
  add(address: number, length: number, writable: boolean): void {
    if (writable) this.#writableBytes += length;
    if (this.#indirectNow) {
      const table = this.#tables + this.#head * this.#indirectEntries * DESC_SIZE;
      this.#write(table + this.#count * DESC_SIZE, address, length, writable, this.#count + 1);
    } else {
      const index = this.#freeHead;
      this.#freeHead = this.#next[index];
      this.#last = index;
      this.requestOf[index] = this.#requestId;
      this.#write(this.#desc + index * DESC_SIZE, address, length, writable, this.#freeHead);
    }
    this.#count++;
  }

  #write(at: number, address: number, length: number, writable: boolean, next: number): void {
    const { words } = this.#memory;
    const word = at >>> 2;
    words[word] = address;
    words[word + 1] = address > 0xffff_ffff ? highWord(address) : 0;
    words[word + 2] = length;
    const flags = writable ? DESC_F_WRITE : 0;
    words[word + 3] = --this.#left > 0 ? flags | DESC_F_NEXT | (next << 16) : flags;
  }

  /** Ends the chain, which must have all its buffers, and makes it available to the device. Answers its head. */
  commit(): number {
    const { halves } = this.#memory;
    const head = this.#head;
    let used = this.#count;
    if (this.#indirectNow) {
      used = 1;
      this.#last = head;
      this.requestOf[head] = this.#requestId;
      this.#freeHead = this.#next[head];
      this.#pointToTable(head);
    }
    this.#chain[head] = used;
    this.#order?.made(head, this.#writableBytes);
    this.#tailOf[head] = this.#last;
    this.free -= used;
    const avail = this.#avail >>> 1;
    const at = this.availIdx;
    halves[avail + AVAIL_RING / 2 + (at & this.#mask)] = head;
    this.availIdx = (at + 1) & 0xffff;
    // Section 2.7.13.3: the index is written after the entry; one thread needs no barrier for that.
    halves[avail + AVAIL_IDX / 2] = this.availIdx;
    return head;
  }

  #pointToTable(head: number): void {
    const { words } = this.#memory;
    const table = this.#tablesAddress + head * this.#indirectEntries * DESC_SIZE;
    const word = (this.#desc + head * DESC_SIZE) >>> 2;
    words[word] = table;
    words[word + 1] = highWord(table);
    words[word + 2] = this.#count * DESC_SIZE;
    words[word + 3] = DESC_F_INDIRECT;
  }

  /** Whether the device wants to hear of what was committed since the last kick (section 2.7.13.4). */
  kick(): boolean {
    const before = this.#kicked;
    this.#kicked = this.availIdx;
    if (before === this.availIdx) return false;
    const { halves } = this.#memory;
    const used = this.#used >>> 1;
    if (!this.#eventIdx) return (halves[used] & USED_F_NO_NOTIFY) === 0;
    const event = halves[used + (USED_RING + this.#size * USED_ELEM) / 2];
    return needEvent(event, this.availIdx, before);
  }

  notificationData(index: number): number {
    return (this.availIdx * 0x1_0000 + index) >>> 0;
  }

  /** Whether there is something that `take` has not answered. */
  get hasUsed(): boolean {
    if (this.#order?.waiting === true) return true;
    return this.#memory.halves[(this.#used + USED_IDX) >>> 1] !== this.lastUsedIdx;
  }

  /**
   * Takes the next used element into `usedHead` and `usedLength` and frees its descriptors. False when there is none.
   * Throws `virtio.used-id` when the device returns what it does not hold.
   */
  take(): boolean {
    if (!this.hasUsed) return false;
    const order = this.#order;
    if (order === undefined) {
      this.#read();
    } else {
      if (!order.waiting) {
        this.#read();
        order.usedUpTo(this.usedHead, this.usedLength);
      }
      this.usedHead = order.next();
      this.usedLength = order.length;
    }
    this.lastUsedIdx = (this.lastUsedIdx + 1) & 0xffff;
    this.#freeChain(this.usedHead);
    return true;
  }

  /** Reads the used element. */
  #read(): void {
    const { words } = this.#memory;
    const at = (this.#used + USED_RING + (this.lastUsedIdx & this.#mask) * USED_ELEM) >>> 2;
    const head = words[at];
    this.usedLength = words[at + 1];
    if (head >= this.#size || this.#chain[head] === 0) {
      throw new PlatterError(
        'virtio.used-id',
        `the device returned descriptor ${head}, which it does not hold`,
        {
          field: 'id',
          value: String(head),
        },
      );
    }
    this.usedHead = head;
  }

  #freeChain(head: number): void {
    const count = this.#chain[head];
    this.#chain[head] = 0;
    if (this.requestOf[head] !== 0) {
      for (let i = 0, index = head; i < count; i++, index = this.#next[index]) this.requestOf[index] = 0;
    }
    if (this.#order === undefined) {
      this.#next[this.#tailOf[head]] = this.#freeHead;
      this.#freeHead = head;
    } else {
      // Section 2.7.9: descriptors are used in ring order; what was freed first is used first.
      if (this.free === 0) this.#freeHead = head;
      else this.#next[this.#freeTail] = head;
      this.#freeTail = this.#tailOf[head];
    }
    this.free += count;
  }

  /** Asks for interrupts, or for none. Answers whether used elements are waiting already. */
  setInterrupts(wanted: boolean): boolean {
    const { halves } = this.#memory;
    const avail = this.#avail >>> 1;
    if (this.#eventIdx) {
      // Section 2.7.7.1: without interrupts used_event is left behind.
      if (wanted) halves[avail + AVAIL_RING / 2 + this.#size] = this.lastUsedIdx;
    } else {
      halves[avail] = wanted ? 0 : AVAIL_F_NO_INTERRUPT;
    }
    return this.hasUsed;
  }
}

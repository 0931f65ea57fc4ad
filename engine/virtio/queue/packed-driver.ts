/**
 * The driver's half of a packed virtqueue (virtio 1.2, section 2.8), for the simulated guest and as the mock driver of tests. Buffer ids
 * are the driver's own choice (section 2.8.6): here a free list of as many as there are descriptors.
 */
import { PlatterError } from '../../errors.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { highWord } from '../../trace/ring.ts';
import type { DriverQueueOptions } from './split-driver.ts';
import { DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, DESC_SIZE } from './layout.ts';
import {
  availableFlags,
  EVENT_BYTES,
  EVENT_F_DESC,
  EVENT_F_DISABLE,
  EVENT_F_ENABLE,
  isUsed,
  packedBytes,
  packedNeedEvent,
  WRAP,
} from './packed-layout.ts';
import { ChainsInOrder } from './driver-order.ts';
import type { DriverQueue, QueueAddresses } from './queue.ts';

const align = (value: number, to: number): number => Math.ceil(value / to) * to;
/** Where the indirect tables begin, bytes from the ring's start. */
const tablesAt = (size: number): number => align(packedBytes(size) + 2 * EVENT_BYTES, 16);

/** Bytes of guest memory that a queue takes from a 4096-byte boundary on. */
export function packedQueueBytes(size: number, indirectEntries = 0): number {
  return align(tablesAt(size) + size * indirectEntries * DESC_SIZE, 4096);
}

export class PackedDriverQueue implements DriverQueue {
  readonly layout = 'packed';
  readonly addresses: QueueAddresses;
  free: number;
  usedHead = 0;
  usedLength = 0;
  /** Section 2.8.1: where the next chain goes and where the next used descriptor is looked for, with their wrap counters. */
  availIdx = 0;
  availWrap = true;
  lastUsedIdx = 0;
  usedWrap = true;
  readonly requestOf: Uint32Array;
  readonly #memory: GuestMemory;
  readonly #size: number;
  readonly #desc: number;
  readonly #driverEvent: number;
  readonly #deviceEvent: number;
  readonly #tables: number;
  readonly #tablesAddress: number;
  readonly #indirectEntries: number;
  readonly #eventIdx: boolean;
  readonly #order: ChainsInOrder | undefined;
  /** Descriptors of the ring that the chain with this id takes, 0 when the id is free; and the free ids, linked. */
  readonly #descriptors: Uint16Array;
  readonly #nextId: Uint16Array;
  #freeId = 0;
  /** Descriptors made available since the last kick. */
  #unkicked = 0;
  // The chain being built.
  #id = 0;
  #at = 0;
  #wrap = true;
  #left = 0;
  #count = 0;
  #writableBytes = 0;
  #firstFlags = 0;
  #indirectNow = false;

  /** `base` must be aligned to 4096, in the guest and in the buffer, and have `packedQueueBytes` bytes. */
  constructor(memory: GuestMemory, base: number, size: number, options: DriverQueueOptions) {
    this.#memory = memory;
    this.#size = size;
    this.#eventIdx = options.eventIdx;
    this.#indirectEntries = options.indirect ? (options.indirectEntries ?? 0) : 0;
    this.#order = options.inOrder === true ? new ChainsInOrder(size) : undefined;
    const driver = base + packedBytes(size);
    this.addresses = { size, desc: base, driver, device: driver + EVENT_BYTES };
    const total = packedQueueBytes(size, this.#indirectEntries);
    const start = memory.require(base, total);
    memory.dirty(start, total);
    memory.bytes.fill(0, start, start + total);
    this.#desc = start;
    this.#driverEvent = start + packedBytes(size);
    this.#deviceEvent = this.#driverEvent + EVENT_BYTES;
    this.#tablesAddress = base + tablesAt(size);
    this.#tables = start + tablesAt(size);
    this.free = size;
    this.#descriptors = new Uint16Array(size);
    this.#nextId = Uint16Array.from({ length: size }, (_, i) => i + 1);
    this.requestOf = new Uint32Array(size);
  }

  get nextHead(): number {
    return this.#id;
  }

  begin(count: number, requestId = 0): boolean {
    // Sections 2.7.5.3.1 and 2.8.19: no chain is longer than the queue, however it is described.
    this.#indirectNow = count > 1 && count <= this.#indirectEntries && count <= this.#size;
    if (this.free < (this.#indirectNow ? 1 : count)) return false;
    this.#id = this.#freeId;
    this.#left = count;
    this.#count = 0;
    this.#writableBytes = 0;
    this.#at = this.availIdx;
    this.#wrap = this.availWrap;
    this.requestOf[this.#id] = requestId;
    return true;
  }

  add(address: number, length: number, writable: boolean): void {
    const more = --this.#left > 0;
    const flags = writable ? DESC_F_WRITE : 0;
    if (writable) this.#writableBytes += length;
    if (this.#indirectNow) {
      const table = this.#tables + this.#id * this.#indirectEntries * DESC_SIZE;
      this.#write(table + this.#count * DESC_SIZE, address, length, flags << 16);
    } else {
      const all = flags | (more ? DESC_F_NEXT : 0) | availableFlags(this.#wrap);
      const at = this.#desc + this.#at * DESC_SIZE;
      // Section 2.8.6: the first descriptor's flags are written last, in `commit`; until then it is not available.
      if (this.#count === 0) this.#firstFlags = all;
      this.#write(at, address, length, this.#count === 0 ? -1 : (all << 16) | this.#id);
      this.#step();
    }
    this.#count++;
  }

  /** The next place of the ring. */
  #step(): void {
    if (++this.#at < this.#size) return;
    this.#at = 0;
    this.#wrap = !this.#wrap;
  }

  /** `tail`: id and flags, or -1 to leave them. */
  #write(at: number, address: number, length: number, tail: number): void {
    const { words } = this.#memory;
    const word = at >>> 2;
    words[word] = address;
    words[word + 1] = address > 0xffff_ffff ? highWord(address) : 0;
    words[word + 2] = length;
    if (tail !== -1) words[word + 3] = tail;
  }

  commit(): number {
    const id = this.#id;
    const first = this.#desc + this.availIdx * DESC_SIZE;
    let used = this.#count;
    if (this.#indirectNow) {
      used = 1;
      const table = this.#tablesAddress + id * this.#indirectEntries * DESC_SIZE;
      this.#firstFlags = DESC_F_INDIRECT | availableFlags(this.#wrap);
      this.#write(first, table, this.#count * DESC_SIZE, -1);
      this.#step();
    }
    this.#descriptors[id] = used;
    this.#freeId = this.#nextId[id];
    this.#order?.made(id, this.#writableBytes);
    this.free -= used;
    this.#unkicked += used;
    this.availIdx = this.#at;
    this.availWrap = this.#wrap;
    this.#memory.words[(first >>> 2) + 3] = (this.#firstFlags << 16) | id;
    return id;
  }

  kick(): boolean {
    const unkicked = this.#unkicked;
    this.#unkicked = 0;
    if (unkicked === 0) return false;
    const { halves } = this.#memory;
    const event = this.#deviceEvent >>> 1;
    const flags = halves[event + 1];
    if (flags === EVENT_F_DISABLE) return false;
    if (flags === EVENT_F_ENABLE || !this.#eventIdx) return true;
    const now = this.availIdx;
    return packedNeedEvent(halves[event], this.#size, this.availWrap, now, now - unkicked);
  }

  notificationData(index: number): number {
    return ((this.availIdx | (this.availWrap ? WRAP : 0)) * 0x1_0000 + index) >>> 0;
  }

  get hasUsed(): boolean {
    if (this.#order?.waiting === true) return true;
    const tail = this.#memory.words[(this.#desc + this.lastUsedIdx * DESC_SIZE + 12) >>> 2];
    return isUsed(tail >>> 16, this.usedWrap);
  }

  take(): boolean {
    if (!this.hasUsed) return false;
    const order = this.#order;
    if (order === undefined) {
      this.#read();
      this.#release(this.usedHead);
      return true;
    }
    if (!order.waiting) {
      this.#read();
      order.usedUpTo(this.usedHead, this.usedLength);
    }
    this.usedHead = order.next();
    this.usedLength = order.length;
    this.#release(this.usedHead);
    return true;
  }

  /** Reads the used descriptor. Throws `virtio.used-id`. */
  #read(): void {
    const { words } = this.#memory;
    const at = (this.#desc + this.lastUsedIdx * DESC_SIZE) >>> 2;
    const id = words[at + 3] & 0xffff;
    if (id >= this.#size || this.#descriptors[id] === 0) {
      throw new PlatterError('virtio.used-id', `the device returned buffer ${id}, which it does not hold`, {
        field: 'id',
        value: String(id),
      });
    }
    this.usedHead = id;
    this.usedLength = words[at + 2];
  }

  /** Section 2.8.2: the device skipped as many descriptors as the chain took. */
  #release(id: number): void {
    const count = this.#descriptors[id];
    this.#descriptors[id] = 0;
    this.#nextId[id] = this.#freeId;
    this.#freeId = id;
    this.requestOf[id] = 0;
    this.free += count;
    this.lastUsedIdx += count;
    if (this.lastUsedIdx < this.#size) return;
    this.lastUsedIdx -= this.#size;
    this.usedWrap = !this.usedWrap;
  }

  setInterrupts(wanted: boolean): boolean {
    const { halves } = this.#memory;
    const event = this.#driverEvent >>> 1;
    if (!wanted) {
      halves[event + 1] = EVENT_F_DISABLE;
    } else if (this.#eventIdx) {
      // The position is written before the flags that make it count.
      halves[event] = this.lastUsedIdx | (this.usedWrap ? WRAP : 0);
      halves[event + 1] = EVENT_F_DESC;
    } else {
      halves[event + 1] = EVENT_F_ENABLE;
    }
    return this.hasUsed;
  }
}

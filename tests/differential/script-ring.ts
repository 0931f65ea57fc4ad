/** The queues of a script's driver, written into guest memory by hand: split or packed. */
import type { Board } from './board.ts';
import type { Note } from './transcript.ts';

/** Entries of each queue. */
export const SIZE = 16;
/** Each queue has 8 KiB: descriptors and driver area, then on a page of its own the device area, where version 1 of MMIO expects it. */
const QUEUES_AT = 0x30_0000;
export const QUEUE_BYTES = 0x2000;

/** Guest physical addresses. */
export interface QueueAddresses {
  desc: number;
  driver: number;
  device: number;
}

export function queueAddresses(queue: number): QueueAddresses {
  const desc = QUEUES_AT + queue * QUEUE_BYTES;
  return { desc, driver: desc + SIZE * 16, device: desc + 0x1000 };
}

export interface ScriptBuffer {
  address: number;
  length: number;
  writable: boolean;
}

export interface UsedElement {
  id: number;
  length: number;
}

/** When the device is to interrupt: always, never, or once `after` more answers have come (with EVENT_IDX; 0 is the next one). */
export type Suppression = 'always' | 'never' | { after: number };

export interface ScriptRing {
  readonly at: QueueAddresses;
  /** The queue was set up anew. */
  reset(): Promise<void>;
  /**
   * Writes the descriptors of a chain, through an indirect table at `table` when it is given; `first` is the split ring's first one.
   * The device does not know yet.
   */
  describe(buffers: readonly ScriptBuffer[], table?: number, first?: number): Promise<void>;
  /** Makes it available; `head` is the split ring's. */
  offer(head?: number): Promise<void>;
  /** Any four words as the next descriptor, as they are but for the bits of a wrap counter. */
  raw(words: readonly number[]): Promise<void>;
  /** Whether the device has answered. */
  answered(): Promise<boolean>;
  /** Writes down the answer and goes on to the next. */
  takeUsed(note: Note): Promise<UsedElement>;
  /** Writes down what the device says about doorbells. */
  noteSuppression(note: Note): Promise<void>;
  /** What the driver says about interrupts. */
  suppress(when: Suppression): Promise<void>;
}

export type RingMaker = (board: Board, queue: number) => ScriptRing;

const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;

/** 16 bytes: address, length, and the last two halves. */
function descriptor(address: number, length: number, third: number, fourth: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, address, true);
  view.setUint32(8, length, true);
  view.setUint16(12, third, true);
  view.setUint16(14, fourth, true);
  return new Uint8Array(view.buffer);
}

abstract class RingInMemory {
  readonly at: QueueAddresses;
  protected readonly board: Board;

  constructor(board: Board, queue: number) {
    this.board = board;
    this.at = queueAddresses(queue);
  }

  protected clear(): Promise<void> {
    return this.board.writeBytes(this.at.desc, new Uint8Array(QUEUE_BYTES));
  }
}

export class SplitScriptRing extends RingInMemory implements ScriptRing {
  #avail = 0;
  #used = 0;

  async reset(): Promise<void> {
    this.#avail = this.#used = 0;
    await this.clear();
  }

  async describe(buffers: readonly ScriptBuffer[], table?: number, first = 0): Promise<void> {
    const last = buffers.length - 1;
    const from = table === undefined ? first : 0;
    const base = table ?? this.at.desc + first * 16;
    for (const [i, { address, length, writable }] of buffers.entries()) {
      const flags = (writable ? WRITE : 0) | (i < last ? NEXT : 0);
      await this.board.writeBytes(base + i * 16, descriptor(address, length, flags, from + i + 1));
    }
    if (table === undefined) return;
    const whole = descriptor(table, buffers.length * 16, INDIRECT, 0);
    await this.board.writeBytes(this.at.desc + first * 16, whole);
  }

  raw(words: readonly number[]): Promise<void> {
    return this.board.writeBytes(this.at.desc, new Uint8Array(Uint32Array.from(words).buffer));
  }

  async offer(head = 0): Promise<void> {
    await this.board.write(this.at.driver + 4 + (this.#avail % SIZE) * 2, 2, head);
    this.#avail = (this.#avail + 1) & 0xffff;
    await this.board.write(this.at.driver + 2, 2, this.#avail);
  }

  async answered(): Promise<boolean> {
    return (await this.board.read(this.at.device + 2, 2)) !== this.#used;
  }

  async takeUsed(note: Note): Promise<UsedElement> {
    const element = this.at.device + 4 + (this.#used % SIZE) * 8;
    this.#used = (this.#used + 1) & 0xffff;
    note('used.idx', await this.board.read(this.at.device + 2, 2));
    const id = await this.board.read(element, 4);
    const length = await this.board.read(element + 4, 4);
    note('used.id', id);
    note('used.len', length);
    return { id, length };
  }

  async noteSuppression(note: Note): Promise<void> {
    note('used.flags', await this.board.read(this.at.device, 2));
    note('avail_event', await this.board.read(this.at.device + 4 + SIZE * 8, 2));
  }

  async suppress(when: Suppression): Promise<void> {
    await this.board.write(this.at.driver, 2, when === 'never' ? 1 : 0);
    if (typeof when === 'string') return;
    await this.board.write(this.at.driver + 4 + SIZE * 2, 2, (this.#used + when.after) & 0xffff);
  }
}

/** Section 2.8: the descriptor ring, the driver's event structure, the device's. */
export class PackedScriptRing extends RingInMemory implements ScriptRing {
  #next = 0;
  #wrap = true;
  #usedAt = 0;
  #usedWrap = true;
  #id = 0;
  #count = 0;
  /** Descriptors of each buffer that is with the device, by its id. */
  readonly #counts = new Map<number, number>();
  #first: Uint8Array = new Uint8Array(16);

  async reset(): Promise<void> {
    this.#next = this.#usedAt = this.#id = 0;
    this.#wrap = this.#usedWrap = true;
    this.#counts.clear();
    await this.clear();
  }

  async describe(buffers: readonly ScriptBuffer[], table?: number): Promise<void> {
    this.#id = (this.#id + 5) % SIZE;
    if (table !== undefined) {
      for (const [i, { address, length, writable }] of buffers.entries()) {
        await this.board.writeBytes(table + i * 16, descriptor(address, length, 0, writable ? WRITE : 0));
      }
      await this.#put([descriptor(table, buffers.length * 16, this.#id, INDIRECT)]);
      return;
    }
    const last = buffers.length - 1;
    await this.#put(
      buffers.map(({ address, length, writable }, i) =>
        descriptor(address, length, this.#id, (writable ? WRITE : 0) | (i < last ? NEXT : 0)),
      ),
    );
  }

  /** Puts descriptors (as 16 bytes without the bits of the wrap counter) at the next places; the first one's is kept for `offer`. */
  async #put(descriptors: readonly Uint8Array[]): Promise<void> {
    this.#count = descriptors.length;
    for (const [i, bytes] of descriptors.entries()) {
      const place = (this.#next + i) % SIZE;
      const wrap = this.#next + i < SIZE ? this.#wrap : !this.#wrap;
      if (wrap) bytes[14] |= 0x80;
      else bytes[15] |= 0x80;
      if (i === 0) this.#first = bytes;
      else await this.board.writeBytes(this.at.desc + place * 16, bytes);
    }
  }

  raw(words: readonly number[]): Promise<void> {
    return this.#put([new Uint8Array(Uint32Array.from(words).buffer)]);
  }

  async offer(): Promise<void> {
    await this.board.writeBytes(this.at.desc + this.#next * 16, this.#first);
    this.#counts.set(this.#id, this.#count);
    this.#next += this.#count;
    if (this.#next < SIZE) return;
    this.#next -= SIZE;
    this.#wrap = !this.#wrap;
  }

  async answered(): Promise<boolean> {
    const flags = await this.board.read(this.at.desc + this.#usedAt * 16 + 14, 2);
    return (flags & 0x8080) === (this.#usedWrap ? 0x8080 : 0);
  }

  async takeUsed(note: Note): Promise<UsedElement> {
    const at = this.at.desc + this.#usedAt * 16;
    const id = await this.board.read(at + 12, 2);
    const length = await this.board.read(at + 8, 4);
    note('used.id', id);
    note('used.len', length);
    const flags = await this.board.read(at + 14, 2);
    note('used.wrap', flags & 0x8080);
    note('used.other flags', flags & ~0x8080);
    [this.#usedAt, this.#usedWrap] = this.#past(this.#counts.get(id) ?? this.#count);
    return { id, length };
  }

  /** The place and wrap counter `count` descriptors after the next answer. */
  #past(count: number): [number, boolean] {
    const place = this.#usedAt + count;
    return place < SIZE ? [place, this.#usedWrap] : [place - SIZE, !this.#usedWrap];
  }

  async noteSuppression(note: Note): Promise<void> {
    note('device event flags', await this.board.read(this.at.device + 2, 2));
    note('device event place', await this.board.read(this.at.device, 2));
  }

  /** `after` counts descriptors here. */
  async suppress(when: Suppression): Promise<void> {
    if (typeof when === 'object') {
      const [place, wrap] = this.#past(when.after);
      await this.board.write(this.at.driver, 2, place | (wrap ? 0x8000 : 0));
    }
    const flags = { always: 0, never: 1 };
    await this.board.write(this.at.driver + 2, 2, typeof when === 'object' ? 2 : flags[when]);
  }
}

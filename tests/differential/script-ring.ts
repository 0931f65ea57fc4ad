/** The queue of the script's driver, written into guest memory by hand: split or packed. */
import type { Board } from './board.ts';

/** Entries, and where the ring's parts lie. */
export const SIZE = 16;
export const QUEUE_AT = 0x30_0000;
export const AVAIL = QUEUE_AT + SIZE * 16;
export const USED = QUEUE_AT + 0x1000;

export interface ScriptBuffer {
  address: number;
  length: number;
  writable: boolean;
}

type Note = (key: string, value: number) => void;

export interface ScriptRing {
  /** The device was reset. */
  reset(): void;
  /** Writes the descriptors of a chain, through an indirect table at `table` when it is given. The device does not know yet. */
  describe(buffers: readonly ScriptBuffer[], table?: number): Promise<void>;
  /** Makes it available; `head` is the split ring's. */
  offer(head: number): Promise<void>;
  /** Whether the device has answered. */
  answered(): Promise<boolean>;
  /** Writes down the answer and goes on to the next. */
  noteUsed(note: Note): Promise<void>;
  /** Writes down what the device says about doorbells. */
  noteSuppression(note: Note): Promise<void>;
}

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

export class SplitScriptRing implements ScriptRing {
  readonly #board: Board;
  #avail = 0;
  #used = 0;

  constructor(board: Board) {
    this.#board = board;
  }

  reset(): void {
    this.#avail = this.#used = 0;
  }

  async describe(buffers: readonly ScriptBuffer[], table?: number): Promise<void> {
    const last = buffers.length - 1;
    for (const [i, { address, length, writable }] of buffers.entries()) {
      const flags = (writable ? WRITE : 0) | (i < last ? NEXT : 0);
      await this.#board.writeBytes((table ?? QUEUE_AT) + i * 16, descriptor(address, length, flags, i + 1));
    }
    if (table === undefined) return;
    await this.#board.writeBytes(QUEUE_AT, descriptor(table, buffers.length * 16, INDIRECT, 0));
  }

  async offer(head: number): Promise<void> {
    await this.#board.write(AVAIL + 4 + (this.#avail % SIZE) * 2, 2, head);
    this.#avail = (this.#avail + 1) & 0xffff;
    await this.#board.write(AVAIL + 2, 2, this.#avail);
  }

  async answered(): Promise<boolean> {
    return (await this.#board.read(USED + 2, 2)) !== this.#used;
  }

  async noteUsed(note: Note): Promise<void> {
    const element = USED + 4 + (this.#used % SIZE) * 8;
    this.#used = (this.#used + 1) & 0xffff;
    note('used.idx', await this.#board.read(USED + 2, 2));
    note('used.id', await this.#board.read(element, 4));
    note('used.len', await this.#board.read(element + 4, 4));
  }

  async noteSuppression(note: Note): Promise<void> {
    note('used.flags', await this.#board.read(USED, 2));
    note('avail_event', await this.#board.read(USED + 4 + SIZE * 8, 2));
  }
}

/** Section 2.8: the descriptor ring at `QUEUE_AT`, the driver's event structure at `AVAIL`, the device's at `USED`. */
export class PackedScriptRing implements ScriptRing {
  readonly #board: Board;
  #at = 0;
  #wrap = true;
  #usedAt = 0;
  #usedWrap = true;
  #id = 0;
  #count = 0;
  #first: Uint8Array = new Uint8Array(16);

  constructor(board: Board) {
    this.#board = board;
  }

  reset(): void {
    this.#at = this.#usedAt = this.#id = 0;
    this.#wrap = this.#usedWrap = true;
  }

  async describe(buffers: readonly ScriptBuffer[], table?: number): Promise<void> {
    this.#id = (this.#id + 5) % SIZE;
    if (table !== undefined) {
      for (const [i, { address, length, writable }] of buffers.entries()) {
        await this.#board.writeBytes(table + i * 16, descriptor(address, length, 0, writable ? WRITE : 0));
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
      const place = (this.#at + i) % SIZE;
      const wrap = this.#at + i < SIZE ? this.#wrap : !this.#wrap;
      if (wrap) bytes[14] |= 0x80;
      else bytes[15] |= 0x80;
      if (i === 0) this.#first = bytes;
      else await this.#board.writeBytes(QUEUE_AT + place * 16, bytes);
    }
  }

  /** Any four words as the next descriptor, the bits of the wrap counter added. */
  raw(words: readonly number[]): Promise<void> {
    return this.#put([new Uint8Array(Uint32Array.from(words).buffer)]);
  }

  async offer(): Promise<void> {
    await this.#board.writeBytes(QUEUE_AT + this.#at * 16, this.#first);
    this.#at += this.#count;
    if (this.#at < SIZE) return;
    this.#at -= SIZE;
    this.#wrap = !this.#wrap;
  }

  async answered(): Promise<boolean> {
    const flags = await this.#board.read(QUEUE_AT + this.#usedAt * 16 + 14, 2);
    return (flags & 0x8080) === (this.#usedWrap ? 0x8080 : 0);
  }

  async noteUsed(note: Note): Promise<void> {
    const at = QUEUE_AT + this.#usedAt * 16;
    note('used.id', await this.#board.read(at + 12, 2));
    note('used.len', await this.#board.read(at + 8, 4));
    const flags = await this.#board.read(at + 14, 2);
    note('used.wrap', flags & 0x8080);
    note('used.other flags', flags & ~0x8080);
    this.#usedAt += this.#count;
    if (this.#usedAt < SIZE) return;
    this.#usedAt -= SIZE;
    this.#usedWrap = !this.#usedWrap;
  }

  async noteSuppression(note: Note): Promise<void> {
    note('device event flags', await this.#board.read(USED + 2, 2));
    note('device event place', await this.#board.read(USED, 2));
  }
}

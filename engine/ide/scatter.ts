/**
 * Pieces of guest memory that a drive reads or writes by itself. Only memory can be named: what lies outside reads as zeroes and
 * swallows what is written, as an empty place on a real bus; registers are never reached this way.
 */
import type { GuestMemory } from '../machine/memory.ts';

const PAGE = 4096;

export class ScatterList {
  readonly windows: Uint8Array[] = [];
  count = 0;
  bytes = 0;
  readonly #memory: GuestMemory;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  clear(): void {
    this.count = 0;
    this.bytes = 0;
  }

  /** Adds `length` bytes at guest physical `address`; `reachable` false is a device that may not master the bus. */
  add(address: number, length: number, reachable: boolean): void {
    this.bytes += length;
    const memory = this.#memory;
    const whole = reachable ? memory.locate(address, length) : -1;
    if (whole >= 0) {
      memory.dirty(whole, length);
      this.windows[this.count++] = memory.window(whole, length);
      return;
    }
    for (let done = 0; done < length;) {
      const piece = Math.min(length - done, PAGE - ((address + done) % PAGE));
      const at = reachable ? memory.locate(address + done, piece) : -1;
      if (at >= 0) memory.dirty(at, piece);
      this.windows[this.count++] = at >= 0 ? memory.window(at, piece) : new Uint8Array(piece);
      done += piece;
    }
  }

  /** Copies `source` into the pieces, from their start; answers how many bytes there was room for. */
  fill(source: Uint8Array): number {
    let done = 0;
    for (let i = 0; i < this.count && done < source.length; i++) {
      const window = this.windows[i];
      const piece = source.subarray(done, done + window.length);
      window.set(piece);
      done += piece.length;
    }
    return done;
  }

  /** Copies the pieces into `target`; answers how many bytes there were. */
  drain(target: Uint8Array): number {
    let done = 0;
    for (let i = 0; i < this.count && done < target.length; i++) {
      const window = this.windows[i].subarray(0, target.length - done);
      target.set(window, done);
      done += window.length;
    }
    return done;
  }
}

/** Reads guest memory as a bus master does: what is not memory reads as zeroes. */
export function readGuest(memory: GuestMemory, address: number, target: Uint8Array, reachable = true): void {
  const list = new ScatterList(memory);
  list.add(address, target.length, reachable);
  list.drain(target);
}

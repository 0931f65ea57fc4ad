/** Collects what a check finds, with the words bounded so that a hostile image cannot fill the memory with them. */
import type { CheckResult } from '../../format.ts';

const MAX_MESSAGES = 100;

export class Findings {
  readonly result: CheckResult = {
    corruptions: 0,
    leaks: 0,
    checkErrors: 0,
    totalClusters: 0,
    allocatedClusters: 0,
    compressedClusters: 0,
    fragmentedClusters: 0,
    imageEndOffset: 0,
    messages: [],
  };

  corruption(message: string): void {
    this.result.corruptions++;
    this.#say(message);
  }

  leak(count: number, message: string): void {
    this.result.leaks += count;
    this.#say(message);
  }

  error(message: string): void {
    this.result.checkErrors++;
    this.#say(message);
  }

  #say(message: string): void {
    if (this.result.messages.length < MAX_MESSAGES) this.result.messages.push(message);
  }
}

/** A set of small numbers as a bitmap: which blocks of a file are in use. */
export class UsedBlocks {
  readonly #bits: Uint8Array;

  constructor(count: number) {
    this.#bits = new Uint8Array(Math.ceil(count / 8));
  }

  /** Marks `index`; `false` when it was marked already. */
  take(index: number): boolean {
    const mask = 1 << (index % 8);
    const byte = Math.floor(index / 8);
    const free = (this.#bits[byte] & mask) === 0;
    this.#bits[byte] |= mask;
    return free;
  }

  has(index: number): boolean {
    return (this.#bits[Math.floor(index / 8)] & (1 << (index % 8))) !== 0;
  }
}

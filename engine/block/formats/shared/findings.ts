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

  /** Whether another message would be dropped: what follows need only be counted. */
  get full(): boolean {
    return this.result.messages.length >= MAX_MESSAGES;
  }

  error(message: string): void {
    this.result.checkErrors++;
    this.#say(message);
  }

  #say(message: string): void {
    if (this.result.messages.length < MAX_MESSAGES) this.result.messages.push(message);
  }
}

/** Numbers of one page of a set. */
const PAGE = 32768;

/**
 * A set of numbers as a bitmap in pages: which blocks of a file are in use. Only what was marked takes memory, because a file may be
 * sparse and larger than any disk.
 */
export class UsedBlocks {
  /** How many are marked. */
  count = 0;
  readonly #pages = new Map<number, Uint8Array>();

  /** Marks `index`; `false` when it was marked already. */
  take(index: number): boolean {
    const number = Math.floor(index / PAGE);
    let page = this.#pages.get(number);
    if (page === undefined) this.#pages.set(number, (page = new Uint8Array(PAGE / 8)));
    const within = index % PAGE;
    const mask = 1 << (within & 7);
    if ((page[within >> 3] & mask) !== 0) return false;
    page[within >> 3] |= mask;
    this.count++;
    return true;
  }

  has(index: number): boolean {
    const within = index % PAGE;
    const page = this.#pages.get(Math.floor(index / PAGE));
    return page !== undefined && (page[within >> 3] & (1 << (within & 7))) !== 0;
  }
}

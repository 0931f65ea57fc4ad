/**
 * The guest's page cache, for programs that do not ask for O_DIRECT: reads that hit need no disk, writes are done when they are in
 * memory, and what is dirty is written back later or for an fsync (Linux's mm/filemap.c, mm/page-writeback.c, as far as it can be seen
 * from the disk).
 *
 * A page has one place, its number modulo the cache's size, so that neighbours on the disk lie side by side in memory and go to the disk
 * in one request. Linux finds room by age instead; for a program that reads at random or in order both hit equally often.
 */
import { OP } from '../trace/format.ts';
import type { GuestMemory } from '../machine/memory.ts';
import type { Slot } from './block-request.ts';

export const PAGE = 4096;
/** Shares of the cache, in percent: from here on the kernel writes back, and from here on writers wait (`vm.dirty_*ratio`). */
const BACKGROUND = 10;
const THROTTLE = 20;
/** Most pages of one reading or writing back: 1 MiB. */
const MOST_PAGES = 256;

const STATE = { empty: 0, clean: 1, dirty: 2, reading: 3, writing: 4, redirtied: 5 } as const;

/** What has to happen before a request can be served out of the cache. */
export type Obstacle =
  | { kind: 'none' }
  /** These pages have to be read first. */
  | { kind: 'read'; first: number; count: number }
  /** These dirty pages have to be written back first. */
  | { kind: 'write-back'; first: number; count: number }
  /** Something is under way that has to end first. */
  | { kind: 'wait' };

const NONE: Obstacle = { kind: 'none' };
const WAIT: Obstacle = { kind: 'wait' };

export class PageCache {
  dirty = 0;
  /** Pages that are being read or written back. */
  busy = 0;
  readonly pages: number;
  readonly #memory: GuestMemory;
  readonly #base: number;
  readonly #diskBytes: number;
  readonly #tag: Float64Array;
  readonly #state: Uint8Array;
  /** Pages at which the next window of readahead is begun (PG_readahead). */
  readonly #marked: Uint8Array;
  #reading = 0;
  #cursor = 0;
  #writeError = 0;

  /** `base`: guest physical address of `pages` pages. */
  constructor(memory: GuestMemory, base: number, pages: number, diskBytes: number) {
    this.#memory = memory;
    this.#base = base;
    this.#diskBytes = diskBytes;
    this.pages = pages;
    this.#tag = new Float64Array(pages).fill(-1);
    this.#state = new Uint8Array(pages);
    this.#marked = new Uint8Array(pages);
  }

  /** Guest physical address of a page's place. */
  address(page: number): number {
    return this.#base + (page % this.pages) * PAGE;
  }

  /** Bytes of so many pages from `first` on, which the disk's end may cut short. */
  bytes(first: number, count: number): number {
    return Math.min(count * PAGE, this.#diskBytes - first * PAGE);
  }

  /** The kernel should write something back though nobody waits for it. */
  get overBackground(): boolean {
    return this.dirty * 100 > this.pages * BACKGROUND;
  }

  /** Enough is under way to keep the disk busy. */
  get flushesEnough(): boolean {
    return this.busy >= 4 * MOST_PAGES;
  }

  /** The error of a writing back that failed since the last time this was asked, 0 for none: an fsync reports it. */
  takeError(): number {
    const error = this.#writeError;
    this.#writeError = 0;
    return error;
  }

  /** What stands in the way of a read or a write of the program. */
  obstacle({ op, offset, bytes }: Slot): Obstacle {
    const write = op === OP.write;
    if (write && (this.dirty + this.busy) * 100 > this.pages * THROTTLE) return this.#clean();
    const last = Math.floor((offset + bytes - 1) / PAGE);
    for (let page = Math.floor(offset / PAGE); page <= last; page++) {
      const place = page % this.pages;
      const state = this.#state[place];
      if (this.#tag[place] === page && state !== STATE.empty) {
        if (state === STATE.reading) return WAIT;
        continue;
      }
      if (state === STATE.dirty) return { kind: 'write-back', first: this.#tag[place], count: 1 };
      if (state >= STATE.reading) return WAIT;
      const covered = offset <= page * PAGE && offset + bytes >= page * PAGE + this.bytes(page, 1);
      if (!write || !covered)
        return { kind: 'read', first: page, count: this.missing(page, write ? page : last) };
    }
    return NONE;
  }

  /** How many pages from `page` to `last` have to be read, have their places free, and lie side by side in memory. */
  missing(page: number, last: number): number {
    const end = Math.min(last, Math.ceil(this.#diskBytes / PAGE) - 1);
    let count = 0;
    while (page + count <= end && count < MOST_PAGES) {
      const place = (page + count) % this.pages;
      if ((place === 0 && count > 0) || this.#has(page + count) || this.#state[place] >= STATE.dirty) break;
      count++;
    }
    return count;
  }

  #has(page: number): boolean {
    const place = page % this.pages;
    return this.#tag[place] === page && this.#state[place] !== STATE.empty;
  }

  /** The first of the next `within` pages from `from` on that is not there; -1 when all are. */
  nextMissing(from: number, within: number): number {
    for (let page = from; page < from + within; page++) if (!this.#has(page)) return page;
    return -1;
  }

  /** The page of the read at which readahead is to go on, its mark taken away; -1 for none. */
  takeMark({ offset, bytes }: Slot): number {
    const last = Math.floor((offset + bytes - 1) / PAGE);
    for (let page = Math.floor(offset / PAGE); page <= last; page++) {
      const place = page % this.pages;
      if (this.#marked[place] === 0 || !this.#has(page)) continue;
      this.#marked[place] = 0;
      return page;
    }
    return -1;
  }

  /** The next dirty pages that lie side by side, or that something has to end first; `none` when nothing is dirty. */
  nextDirty(): Obstacle {
    if (this.dirty === 0) return this.busy === this.#reading ? NONE : WAIT;
    return this.#clean();
  }

  #clean(): Obstacle {
    for (let i = 0; i < this.pages; i++) {
      const place = (this.#cursor + i) % this.pages;
      if (this.#state[place] !== STATE.dirty) continue;
      const first = this.#tag[place];
      let count = 1;
      while (
        count < MOST_PAGES &&
        place + count < this.pages &&
        this.#state[place + count] === STATE.dirty &&
        this.#tag[place + count] === first + count
      ) {
        count++;
      }
      this.#cursor = (place + count) % this.pages;
      return { kind: 'write-back', first, count };
    }
    return WAIT;
  }

  /** The pages are being read from now on; `mark`: the one of them at which readahead goes on, or another number. */
  beginRead(first: number, count: number, mark = -1): void {
    for (let page = first; page < first + count; page++) {
      const place = page % this.pages;
      this.#tag[place] = page;
      this.#state[place] = STATE.reading;
      this.#marked[place] = page === mark ? 1 : 0;
    }
    this.#reading += count;
    this.busy += count;
  }

  /** The pages, which are dirty, are being written back from now on. */
  beginWriteBack(first: number, count: number): void {
    for (let page = first; page < first + count; page++) this.#state[page % this.pages] = STATE.writing;
    this.dirty -= count;
    this.busy += count;
  }

  /** It is done; what failed to be read is forgotten, what failed to be written is lost as in Linux. */
  finish(first: number, count: number, error: number): void {
    const read = this.#state[first % this.pages] === STATE.reading;
    if (read) this.#reading -= count;
    else if (error !== 0) this.#writeError = error;
    for (let page = first; page < first + count; page++) {
      const place = page % this.pages;
      const again = this.#state[place] === STATE.redirtied;
      const failed = error !== 0 && this.#state[place] === STATE.reading;
      this.#state[place] = again ? STATE.dirty : failed ? STATE.empty : STATE.clean;
      if (again) this.dirty++;
    }
    this.busy -= count;
  }

  /** Copies between the program's buffer and the cache; nothing may stand in the way. Answers how many pages became dirty. */
  serve({ op, offset, bytes, buffer }: Slot): number {
    const memory = this.#memory.bytes;
    const program = this.#memory.require(buffer, bytes);
    let dirtied = 0;
    for (let done = 0; done < bytes;) {
      const at = offset + done;
      const page = Math.floor(at / PAGE);
      const within = at - page * PAGE;
      const length = Math.min(bytes - done, PAGE - within);
      const cached = this.#memory.require(this.address(page), PAGE) + within;
      if (op === OP.write) {
        this.#memory.dirty(cached, length);
        memory.copyWithin(cached, program + done, program + done + length);
        if (this.#soil(page)) dirtied++;
      } else {
        this.#memory.dirty(program + done, length);
        memory.copyWithin(program + done, cached, cached + length);
      }
      done += length;
    }
    return dirtied;
  }

  #soil(page: number): boolean {
    const place = page % this.pages;
    const state = this.#state[place];
    this.#tag[place] = page;
    if (state === STATE.dirty || state === STATE.redirtied) return false;
    if (state === STATE.writing) {
      this.#state[place] = STATE.redirtied;
      return true;
    }
    this.#state[place] = STATE.dirty;
    this.dirty++;
    return true;
  }
}

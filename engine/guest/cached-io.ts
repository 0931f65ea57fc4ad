/**
 * How a virtual CPU serves the programs' requests out of the page cache: looks them up, reads what misses and more (readahead.ts), writes
 * dirty pages back. Each call is at most one event; what goes to the disk is a request of the page cache's own.
 */
import { OP } from '../trace/format.ts';
import { E } from '../trace/registry.ts';
import { highWord } from '../trace/ring.ts';
import { Slot } from './block-request.ts';
import type { GuestDisk } from './disk.ts';
import type { GuestKernel } from './kernel.ts';
import { PAGE, type PageCache } from './page-cache.ts';
import type { Window } from './readahead.ts';

/** What it needs of its CPU. */
export interface CachedCpu {
  readonly index: number;
  /** The request goes down to the disk from now on. */
  begin(slot: Slot): void;
  /** The request is done; the program hears of it when its turn comes. */
  answer(slot: Slot): void;
  /** It is looked up once more, before any other. */
  lookUpNext(slot: Slot): void;
}

const lastPage = ({ offset, bytes }: Slot): number => Math.floor((offset + bytes - 1) / PAGE);

export class CachedIo {
  /** Pages have been chosen to be read: `readPages` is next. */
  planned = false;
  readonly #kernel: GuestKernel;
  readonly #disk: GuestDisk;
  readonly #cache: PageCache;
  readonly #cpu: CachedCpu;
  readonly #plan = { requestId: 0, first: 0, count: 0 };

  constructor(kernel: GuestKernel, disk: GuestDisk, cache: PageCache, cpu: CachedCpu) {
    this.#kernel = kernel;
    this.#disk = disk;
    this.#cache = cache;
    this.#cpu = cpu;
  }

  #emit(event: number, requestId: number, sector: number, pages: number, more = 0): true {
    this.#kernel.trace.emit(event, requestId, sector >>> 0, highWord(sector), pages, more);
    return true;
  }

  /** Serves the program's request, or begins what stands in the way. */
  lookUp(slot: Slot): boolean {
    if (slot.op === OP.read && this.#readAhead(slot)) return true;
    const obstacle = slot.op === OP.flush ? this.#cache.nextDirty() : this.#cache.obstacle(slot);
    if (obstacle.kind === 'none') return slot.op === OP.flush ? this.#flush(slot) : this.#serve(slot);
    this.#kernel.waitForCache(slot);
    if (obstacle.kind === 'wait') return true;
    const { first, count } = obstacle;
    return obstacle.kind === 'read' ? this.#miss(slot, first, count) : this.#beginWriteBack(first, count);
  }

  /** Everything is on the disk, or lost; the disk's own cache is what is left. */
  #flush(slot: Slot): true {
    slot.error = this.#cache.takeError();
    if (slot.error === 0) this.#cpu.begin(slot);
    else this.#cpu.answer(slot);
    return true;
  }

  #serve(slot: Slot): boolean {
    const pages = this.#cache.serve(slot);
    const write = slot.op === OP.write;
    if (!write) slot.readahead?.read(lastPage(slot));
    if (this.#cpu.index !== 0 && this.#kernel.toFlush !== undefined) this.#kernel.wake(0);
    this.#cpu.answer(slot);
    const event = write ? E.writeback_dirty_folio : E.mm_filemap_get_pages;
    const count = write ? pages : Math.ceil(((slot.offset % PAGE) + slot.bytes) / PAGE);
    return this.#emit(event, slot.requestId, slot.offset / 512, count);
  }

  // ---- reading ----

  /** These pages have to be read; readahead may make more of them. */
  #miss(slot: Slot, first: number, count: number): boolean {
    const wanted = lastPage(slot) - first + 1;
    const window = slot.op === OP.read ? slot.readahead?.missed(first, wanted) : undefined;
    if (window === undefined || window.mark < 0 || window.first !== first) {
      this.#choose(slot.requestId, first, count, -1);
      return this.readPages();
    }
    const room = this.#cache.missing(first, first + window.count - 1);
    return this.#window(E.page_cache_sync_ra, slot, slot.requestId, window, room);
  }

  /** The read comes to a marked page: the next window is begun, and then it is looked up. False when there is nothing to begin. */
  #readAhead(slot: Slot): boolean {
    const page = slot.readahead === undefined ? -1 : this.#cache.takeMark(slot);
    if (page < 0) return false;
    const cache = this.#cache;
    const window = slot.readahead?.hit(page, lastPage(slot) - page + 1, (from, within) =>
      cache.nextMissing(from, within),
    );
    const room = window === undefined ? 0 : cache.missing(window.first, window.first + window.count - 1);
    if (window === undefined || room === 0) return false;
    this.#cpu.lookUpNext(slot);
    return this.#window(E.page_cache_async_ra, slot, this.#kernel.nextRequestId(), window, room);
  }

  /** Chooses as much of the window as there is room for; its mark is kept inside. */
  #window(event: number, slot: Slot, requestId: number, window: Window, room: number): boolean {
    const { first, count, mark } = window;
    const at = Math.min(mark, first + room - 1);
    if (room < count) slot.readahead?.cut(room, at);
    this.#choose(requestId, first, room, at);
    return this.#emit(event, requestId, first * (PAGE / 512), room, first + room - at);
  }

  /** From now on nobody else reads these pages. */
  #choose(requestId: number, first: number, count: number, mark: number): void {
    this.#cache.beginRead(first, count, mark);
    Object.assign(this.#plan, { requestId, first, count });
    this.planned = true;
  }

  /** Reads the pages that were chosen. */
  readPages(): boolean {
    const { requestId, first, count } = this.#plan;
    this.planned = false;
    this.#beginOwn('read', requestId, first, count);
    return this.#emit(E.mm_filemap_add_to_page_cache, requestId, first * (PAGE / 512), count);
  }

  // ---- writing back ----

  /** The kernel writes the next dirty pages back. False when there is nothing to begin. */
  writeBack(): boolean {
    const next = this.#cache.nextDirty();
    return next.kind === 'write-back' && this.#beginWriteBack(next.first, next.count);
  }

  #beginWriteBack(first: number, count: number): boolean {
    this.#cache.beginWriteBack(first, count);
    const requestId = this.#kernel.nextRequestId();
    this.#beginOwn('write-back', requestId, first, count);
    return this.#emit(E.writeback_start, requestId, first * (PAGE / 512), count, this.#cache.dirty);
  }

  // ---- requests of the page cache's own ----

  #beginOwn(use: 'read' | 'write-back', requestId: number, first: number, count: number): void {
    const slot = new Slot(this.#cache.address(first), this.#disk, this.#cpu.index, use);
    slot.requestId = requestId;
    slot.op = use === 'read' ? OP.read : OP.write;
    slot.offset = first * PAGE;
    slot.bytes = this.#cache.bytes(first, count);
    this.#cpu.begin(slot);
  }

  /** Such a request has ended. */
  endOwn(slot: Slot): boolean {
    this.#cache.finish(slot.offset / PAGE, Math.ceil(slot.bytes / PAGE), slot.error);
    this.#kernel.cacheChanged(slot, this.#cpu.index);
    const event = slot.use === 'read' ? E.folio_end_read : E.folio_end_writeback;
    return this.#emit(event, slot.requestId, slot.offset / 512, Math.ceil(slot.bytes / PAGE));
  }
}

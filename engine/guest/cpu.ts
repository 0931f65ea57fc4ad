/**
 * One virtual CPU of the simulated guest: program, block layer, driver and interrupt handler as one resumable machine. `step` does
 * one thing that can be seen (one event) and answers whether it did anything; between any two steps the whole machine can stand
 * still and be looked at.
 */
import type { PendingInterrupt } from '../machine/interrupts.ts';
import type { LocalApic } from '../machine/local-apic.ts';
import { OP } from '../trace/format.ts';
import { E } from '../trace/registry.ts';
import { highWord } from '../trace/ring.ts';
import { BlockLayer } from './block-layer.ts';
import { Slot, type Bio, type BlockRequest } from './block-request.ts';
import type { DriverCpu, DriverThread } from './driver.ts';
import type { Job } from './job.ts';
import type { GuestKernel } from './kernel.ts';
import { PAGE, type PageCache } from './page-cache.ts';
import type { RegisterAccess } from './register-access.ts';
import { fillPattern } from './workload.ts';

/** What the virtual CPU does next. */
const P = {
  choose: 0,
  bio: 1,
  split: 2,
  place: 3,
  issue: 4,
  queueRq: 5,
  submit: 6,
  commit: 7,
  irqEntry: 8,
  interrupt: 9,
  irqExit: 10,
  cached: 11,
} as const;

export interface GuestCpuOptions {
  index: number;
  kernel: GuestKernel;
  access: RegisterAccess;
  interrupts: LocalApic;
  /** The programs that run on this CPU. */
  jobs: readonly Job[];
}

export class GuestCpu implements DriverCpu {
  readonly index: number;
  readonly access: RegisterAccess;
  /** The hardware queue that this CPU submits to. */
  readonly queue: number;
  inFlight = 0;
  readonly #kernel: GuestKernel;
  readonly #interrupts: LocalApic;
  readonly #jobs: readonly Job[];
  readonly #driver: DriverThread;
  readonly #layer: BlockLayer;
  readonly #answered: Slot[] = [];
  /** Requests that look into the page cache once more. */
  readonly #retries: Slot[] = [];
  readonly #completed: BlockRequest[] = [];
  readonly #batch: number;
  #phase: number = P.choose;
  /** The program that asks next. */
  #turn = 0;
  /** Requests of the batch that is being submitted. */
  #submitted = 0;
  #slot!: Slot;
  #sectorsDone = 0;
  #bio!: Bio;
  #request!: BlockRequest;
  #irq: PendingInterrupt | undefined;

  constructor(options: GuestCpuOptions) {
    const { kernel, jobs } = options;
    const { driver, workload } = kernel;
    this.index = options.index;
    this.access = options.access;
    this.#kernel = kernel;
    this.#interrupts = options.interrupts;
    this.#jobs = jobs;
    this.queue = driver.queueOf(options.index);
    this.#layer = new BlockLayer(driver.limits);
    this.#driver = driver.thread(this);
    const places = jobs.reduce((sum, { slots }) => sum + slots.length, 0);
    this.#batch = Math.max(1, Math.min(workload.iodepthBatch ?? 1, places));
  }

  /** The device's code runs on this CPU's thread right now. */
  get inUserspace(): boolean {
    return this.access.inUserspace;
  }

  /** The programs have had the answers to everything that they will ever ask for, and nothing else is left to do. */
  get finished(): boolean {
    return this.inFlight === 0 && !this.hasWork && this.#jobs.every(({ finished }) => finished);
  }

  /** Whether `step` would do something. */
  get hasWork(): boolean {
    return (
      this.#phase !== P.choose ||
      this.#interrupts.anyPending ||
      this.#completed.length > 0 ||
      this.#answered.length > 0 ||
      this.#retries.length > 0 ||
      (this.index === 0 && this.#kernel.shouldFlush) ||
      (this.#layer.waiting.length > 0 && !this.#stopped) ||
      (!this.#kernel.frozen && this.#jobs.some(({ ready }) => ready))
    );
  }

  get #stopped(): boolean {
    return this.#kernel.isStopped(this.queue);
  }

  step(): boolean {
    const completed = this.#completed.shift();
    if (completed !== undefined) return this.#complete(completed);
    switch (this.#phase) {
      case P.bio:
        return this.#makeBio();
      case P.split:
        return this.#split();
      case P.place:
        return this.#place();
      case P.issue:
        return this.#issue();
      case P.queueRq:
        return this.#queueRq();
      case P.submit:
        if (this.#driver.step()) return true;
        this.#kernel.unlock(this.queue);
        this.#phase = this.#layer.waiting.length > 0 ? P.issue : P.commit;
        if (this.#phase === P.commit) this.#driver.commit(this.queue);
        return this.step();
      case P.commit:
        if (this.#driver.step()) return true;
        this.#phase = this.#irq === undefined ? P.choose : P.irqExit;
        return this.step();
      case P.irqEntry:
        return this.#irqEntry();
      case P.interrupt:
        return this.#interrupt();
      case P.irqExit:
        return this.#irqExit();
      case P.cached:
        return this.#lookUp();
      default:
        return this.#choose();
    }
  }

  #emit(event: number, requestId: number, a = 0, b = 0, c = 0, d = 0): true {
    this.#kernel.trace.emit(event, requestId, a, b, c, d);
    return true;
  }

  /** `op, sector, sectors` as most events of the block layer have them. */
  #emitSector(event: number, requestId: number, first: number, sector: number, last: number): true {
    return this.#emit(event, requestId, first, sector >>> 0, highWord(sector), last);
  }

  #choose(): boolean {
    if (this.#interrupts.anyPending) return this.#inject();
    const answered = this.#answered.shift();
    if (answered !== undefined) return this.#answer(answered);
    const retry = this.#retries.shift();
    if (retry !== undefined) {
      this.#slot = retry;
      return this.#lookUp();
    }
    if (this.index === 0 && this.#kernel.shouldFlush && this.#writeBack()) return true;
    if (this.#submitted < this.#batch && this.#submit()) return true;
    const batchOver = this.#submitted > 0;
    this.#submitted = 0;
    if (this.#layer.waiting.length > 0 && !this.#stopped) return this.#issue();
    // A batch that the page cache has served altogether leaves nothing for the driver: the next one follows.
    return batchOver && this.#submit();
  }

  // ---- down: program, block layer, driver ----

  /** The next request of the next program that has one. */
  #nextSlot(): Slot | undefined {
    const jobs = this.#jobs;
    if (this.#kernel.frozen) return undefined;
    for (let i = 0; i < jobs.length; i++) {
      const slot = jobs[this.#turn].next();
      this.#turn = (this.#turn + 1) % jobs.length;
      if (slot !== undefined) return slot;
    }
    return undefined;
  }

  #submit(): boolean {
    const slot = this.#nextSlot();
    if (slot === undefined) return false;
    const { memory, workload, nextRequestId } = this.#kernel;
    slot.requestId = nextRequestId();
    this.inFlight++;
    if (slot.op === OP.write) {
      const at = memory.require(slot.buffer, slot.bytes);
      fillPattern(
        new DataView(memory.bytes.buffer, memory.bytes.byteOffset + at, slot.bytes),
        slot.offset,
        workload.seed,
      );
    }
    this.#slot = slot;
    this.#sectorsDone = 0;
    this.#submitted++;
    this.#phase = this.#kernel.cache === undefined ? P.bio : P.cached;
    return this.#emitSector(E.io_submit, slot.requestId, slot.op, slot.offset / 512, slot.bytes);
  }

  // ---- the page cache ----

  /** A request of a program that was waiting for the page cache. */
  retry(slot: Slot): void {
    this.#retries.push(slot);
  }

  /** Serves the program's request out of the page cache, or begins what stands in the way. */
  #lookUp(): boolean {
    const slot = this.#slot;
    const { cache } = this.#kernel;
    this.#phase = P.choose;
    if (cache === undefined) return false;
    const obstacle = slot.op === OP.flush ? cache.nextDirty() : cache.obstacle(slot);
    if (obstacle.kind === 'none') return this.#serveCached(cache, slot);
    this.#kernel.waitForCache(slot);
    if (obstacle.kind === 'wait') return true;
    const { first, count } = obstacle;
    return obstacle.kind === 'read'
      ? this.#beginRead(cache, slot, first, count)
      : this.#beginWriteBack(cache, first, count);
  }

  #serveCached(cache: PageCache, slot: Slot): boolean {
    if (slot.op === OP.flush) {
      slot.error = cache.takeError();
      if (slot.error !== 0) {
        this.#answered.push(slot);
        return true;
      }
      // Everything is on the disk; its own cache is what is left.
      this.#sectorsDone = 0;
      this.#phase = P.bio;
      return true;
    }
    const pages = cache.serve(slot);
    if (this.index !== 0 && this.#kernel.shouldFlush) this.#kernel.wake(0);
    this.#answered.push(slot);
    const write = slot.op === OP.write;
    const event = write ? E.writeback_dirty_folio : E.mm_filemap_get_pages;
    const count = write ? pages : Math.ceil(((slot.offset % PAGE) + slot.bytes) / PAGE);
    return this.#emitPages(event, slot.requestId, slot.offset / 512, count);
  }

  #beginRead(cache: PageCache, slot: Slot, first: number, count: number): boolean {
    cache.beginRead(first, count);
    this.#beginOwn('read', slot.requestId, first, count);
    return this.#emitPages(E.mm_filemap_add_to_page_cache, slot.requestId, first * (PAGE / 512), count);
  }

  /** The kernel writes the next dirty pages back. */
  #writeBack(): boolean {
    const { cache } = this.#kernel;
    const next = cache?.nextDirty();
    if (cache === undefined || next?.kind !== 'write-back') return false;
    return this.#beginWriteBack(cache, next.first, next.count);
  }

  #beginWriteBack(cache: PageCache, first: number, count: number): boolean {
    cache.beginWriteBack(first, count);
    const requestId = this.#kernel.nextRequestId();
    this.#beginOwn('write-back', requestId, first, count);
    return this.#emitPages(E.writeback_start, requestId, first * (PAGE / 512), count, cache.dirty);
  }

  /** A request of the page cache's own. */
  #beginOwn(use: 'read' | 'write-back', requestId: number, first: number, count: number): void {
    const { cache } = this.#kernel;
    if (cache === undefined) return;
    const slot = new Slot(cache.address(first), this.index, use);
    slot.requestId = requestId;
    slot.op = use === 'read' ? OP.read : OP.write;
    slot.offset = first * PAGE;
    slot.bytes = cache.bytes(first, count);
    this.#slot = slot;
    this.#sectorsDone = 0;
    this.#phase = P.bio;
  }

  /** A request of the page cache's own has ended. */
  #endOwn(slot: Slot): boolean {
    const first = slot.offset / PAGE;
    const count = Math.ceil(slot.bytes / PAGE);
    this.#kernel.cache?.finish(first, count, slot.error);
    this.#kernel.cacheChanged(slot, this.index);
    const event = slot.use === 'read' ? E.folio_end_read : E.folio_end_writeback;
    return this.#emitPages(event, slot.requestId, slot.offset / 512, count);
  }

  #emitPages(event: number, requestId: number, sector: number, pages: number, more = 0): true {
    return this.#emit(event, requestId, sector >>> 0, highWord(sector), pages, more);
  }

  // ---- block layer and driver ----

  #makeBio(): boolean {
    const slot = this.#slot;
    const first = this.#sectorsDone === 0;
    this.#bio = this.#layer.bio(slot, this.#sectorsDone);
    this.#sectorsDone += this.#bio.sectors;
    if (!first) return this.#split();
    this.#phase = this.#sectorsDone < slot.bytes / 512 ? P.split : P.place;
    return this.#emitSector(E.block_bio_queue, slot.requestId, slot.op, slot.offset / 512, slot.bytes / 512);
  }

  #split(): boolean {
    const { slot, op, sector, sectors } = this.#bio;
    this.#phase = P.place;
    return this.#emitSector(E.block_split, slot.requestId, op, sector, sectors);
  }

  #place(): boolean {
    const bio = this.#bio;
    const { slot, op, sector, sectors } = bio;
    const merged = this.#layer.merge(bio);
    const more = this.#sectorsDone < slot.bytes / 512;
    const dispatch = !this.#stopped && this.#submitted >= this.#batch;
    this.#phase = more ? P.bio : dispatch ? P.issue : P.choose;
    if (merged !== undefined) {
      const into = this.#layer.mergedInto?.requestId ?? 0;
      const event = merged === 'back' ? E.block_bio_backmerge : E.block_bio_frontmerge;
      return this.#emitSector(event, slot.requestId, into, sector, sectors);
    }
    this.#layer.insert(bio);
    return this.#emitSector(E.block_rq_insert, slot.requestId, op, sector, sectors);
  }

  /** Takes the oldest waiting request; when there is none the driver hears that the batch is over. */
  #issue(): boolean {
    const request = this.#stopped ? undefined : this.#layer.take();
    this.#submitted = 0;
    if (request === undefined) {
      this.#phase = P.commit;
      this.#driver.commit(this.queue);
      return this.step();
    }
    this.#request = request;
    this.#phase = P.queueRq;
    return this.#emitSector(E.block_rq_issue, request.requestId, request.op, request.sector, request.sectors);
  }

  #queueRq(): boolean {
    const request = this.#request;
    if (!this.#kernel.lock(this.queue, this.index)) return false;
    if (this.#driver.hasRoom(this.queue, request)) {
      this.#driver.submit(this.queue, request);
      this.#phase = P.submit;
      return this.step();
    }
    const { requestId, op, sector, sectors } = request;
    this.#layer.requeue(request);
    this.#kernel.unlock(this.queue);
    this.#kernel.stop(this.queue);
    this.#driver.commit(this.queue);
    this.#phase = P.commit;
    return this.#emitSector(E.block_rq_requeue, requestId, op, sector, sectors);
  }

  // ---- up: interrupt, driver, block layer, program ----

  #inject(): boolean {
    const irq = this.#interrupts.take();
    if (irq === undefined) return false;
    this.#irq = irq;
    this.#phase = P.irqEntry;
    return this.#emit(E.kvm_inj_virq, irq.requestId, irq.vector);
  }

  #irqEntry(): boolean {
    const irq = this.#irq;
    if (irq !== undefined) this.#driver.interrupt(irq);
    this.#phase = P.interrupt;
    return this.#emit(E.irq_handler_entry, irq?.requestId ?? 0, irq?.gsi ?? irq?.vector ?? 0);
  }

  #interrupt(): boolean {
    if (this.#driver.step()) return true;
    if (this.#kernel.restartQueues(this.index) && this.#layer.waiting.length > 0) return this.#issue();
    return this.#irqExit();
  }

  /** The driver is done with a request, or wants it back. */
  complete(request: BlockRequest): void {
    this.#completed.push(request);
  }

  #complete(request: BlockRequest): boolean {
    const { requestId, op, sector, sectors, error } = request;
    if (request.again) {
      request.again = false;
      this.#layer.requeue(request);
      return this.#emitSector(E.block_rq_requeue, requestId, op, sector, sectors);
    }
    this.#layer.complete(request, (slot) => this.#kernel.answered(slot, this.index));
    return this.#emitSector(E.block_rq_complete, requestId, op, sector, error);
  }

  #irqExit(): boolean {
    const irq = this.#irq;
    if (irq !== undefined) this.#interrupts.end(irq);
    this.#irq = undefined;
    this.#phase = P.choose;
    return this.#emit(E.irq_handler_exit, irq?.requestId ?? 0, irq?.gsi ?? irq?.vector ?? 0);
  }

  /** A request of one of this CPU's programs is done; the program hears of it when its turn comes. */
  answer(slot: Slot): void {
    this.#answered.push(slot);
  }

  #answer(slot: Slot): boolean {
    if (slot.use !== 'program') return this.#endOwn(slot);
    const { counters } = this.#kernel;
    counters.requests++;
    if (slot.error !== 0) counters.errors++;
    else counters.bytes += slot.bytes;
    if (slot.op === OP.read) counters.reads++;
    else if (slot.op === OP.write) counters.writes++;
    else counters.flushes++;
    this.inFlight--;
    this.#jobs.find((job) => job.release(slot));
    return this.#emit(E.io_getevents, slot.requestId, slot.op, slot.bytes, slot.error);
  }
}

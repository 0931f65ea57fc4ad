/**
 * One virtual CPU of the simulated guest: program, block layer, driver and interrupt handler as one resumable machine. `step` does
 * one thing that can be seen (one event) and answers whether it did anything; between any two steps the whole machine can stand
 * still and be looked at.
 */
import type { LocalApic } from '../machine/local-apic.ts';
import { E } from '../trace/registry.ts';
import { highWord } from '../trace/ring.ts';
import { BlockLayer } from './block-layer.ts';
import type { Bio, BlockRequest, Slot } from './block-request.ts';
import { CachedIo } from './cached-io.ts';
import type { GuestDisk } from './disk.ts';
import type { DriverCpu } from './driver.ts';
import { SoftwareQueue } from './hardware-queue.ts';
import { InterruptHandlers } from './interrupt-handlers.ts';
import type { Job } from './job.ts';
import type { GuestKernel } from './kernel.ts';
import { Programs } from './programs.ts';
import type { RegisterAccess } from './register-access.ts';

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
  readonly #kernel: GuestKernel;
  readonly #programs: Programs;
  /** The way to each disk, by its number. */
  readonly #queues: readonly SoftwareQueue[];
  readonly #handlers: InterruptHandlers;
  readonly #answered: Slot[] = [];
  /** Requests that look into the page cache once more. */
  readonly #retries: Slot[] = [];
  readonly #completed: BlockRequest[] = [];
  #phase: number = P.choose;
  /** Requests of the batch that is being submitted. */
  #submitted = 0;
  #slot!: Slot;
  #sectorsDone = 0;
  #bio!: Bio;
  /** The disk that the request under way is for. */
  #at: SoftwareQueue;
  #request!: BlockRequest;
  /** By disk, the way through the page cache; undefined when the programs go around it. */
  readonly #cached: readonly (CachedIo | undefined)[];

  constructor(options: GuestCpuOptions) {
    const { kernel, jobs } = options;
    const { disks } = kernel;
    this.index = options.index;
    this.access = options.access;
    this.#kernel = kernel;
    this.#programs = new Programs(kernel, jobs);
    const threads = new Map(kernel.drivers.map((driver) => [driver, driver.thread(this)]));
    this.#queues = disks.map((disk) => {
      const { driver, unit } = disk;
      const hardware = kernel.hardwareQueue(driver, driver.queueOf(this.index, unit));
      const thread = threads.get(driver) ?? driver.thread(this);
      return new SoftwareQueue(disk, this.index, new BlockLayer(driver.limits), thread, hardware);
    });
    [this.#at] = this.#queues;
    this.#handlers = new InterruptHandlers(this.index, kernel, options.interrupts, threads);
    this.#cached = disks.map((disk) => this.#cachedIo(disk));
  }

  /** The device's code runs on this CPU's thread right now. */
  get inUserspace(): boolean {
    return this.access.inUserspace;
  }

  /** The programs have had the answers to everything that they will ever ask for, and nothing else is left to do. */
  get finished(): boolean {
    return this.#programs.finished && !this.hasWork;
  }

  /** Whether `step` would do something. */
  get hasWork(): boolean {
    return (
      this.#phase !== P.choose ||
      this.#handlers.anyPending ||
      this.#completed.length > 0 ||
      this.#answered.length > 0 ||
      this.#retries.length > 0 ||
      (this.index === 0 && this.#kernel.toFlush !== undefined) ||
      this.#queues.some(({ isReady }) => isReady) ||
      this.#programs.ready
    );
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
        if (this.#at.thread.step()) return true;
        this.#at.hardware.unlock(this.#kernel.wake);
        if (!this.#at.isWaiting) return this.#commit();
        this.#phase = P.issue;
        return this.step();
      case P.commit:
        if (this.#at.thread.step()) return true;
        if (this.#handlers.inInterrupt) this.#phase = P.irqExit;
        else this.#phase = this.#turnTo(this.#nextReady(1)) ? P.issue : P.choose;
        return this.step();
      case P.irqEntry:
        return this.#irqEntry();
      case P.interrupt:
        return this.#interrupt();
      case P.irqExit:
        return this.#irqExit();
      case P.cached:
        return this.#throughCache();
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
    if (this.#handlers.anyPending) return this.#inject();
    const answered = this.#answered.shift();
    if (answered !== undefined) return this.#answer(answered);
    const retry = this.#retries.shift();
    if (retry !== undefined) {
      this.#take(retry);
      return this.#throughCache();
    }
    if (this.index === 0 && this.#writeBack()) return true;
    if (this.#submitted < this.#programs.batch && this.#submit()) return true;
    const batchOver = this.#submitted > 0;
    this.#submitted = 0;
    if (this.#turnTo(this.#nextReady(0))) return this.#issue();
    // A batch that the page cache has served altogether leaves nothing for the driver: the next one follows.
    return batchOver && this.#submit();
  }

  /** A disk whose requests may be handed over: the present one is asked first, or last (`from` 1: not at all). */
  #nextReady(from: 0 | 1): SoftwareQueue | undefined {
    const queues = this.#queues;
    const at = this.#at.disk.index;
    for (let i = from; i < queues.length; i++) {
      const queue = queues[(at + i) % queues.length];
      if (queue.isReady) return queue;
    }
    return undefined;
  }

  #turnTo(queue: SoftwareQueue | undefined): boolean {
    if (queue === undefined) return false;
    this.#at = queue;
    return true;
  }

  // ---- down: program, block layer, driver ----

  #submit(): boolean {
    const slot = this.#programs.next();
    if (slot === undefined) return false;
    this.#take(slot);
    this.#sectorsDone = 0;
    this.#submitted++;
    this.#phase = slot.disk.cache === undefined ? P.bio : P.cached;
    return this.#emitSector(E.io_submit, slot.requestId, slot.op, slot.offset / 512, slot.bytes);
  }

  /** What follows is about this request, and its disk. */
  #take(slot: Slot): void {
    this.#slot = slot;
    this.#at = this.#queues[slot.disk.index];
  }

  // ---- the page cache ----

  /** A request of a program that was waiting for the page cache. */
  retry(slot: Slot): void {
    this.#retries.push(slot);
  }

  /** Looks the request up, or reads the pages that this chose. */
  #throughCache(): boolean {
    const cached = this.#cached[this.#slot.disk.index];
    if (cached === undefined) return false;
    this.#phase = P.choose;
    const done = cached.planned ? cached.readPages() : cached.lookUp(this.#slot);
    if (cached.planned) this.#phase = P.cached;
    return done;
  }

  /** Writes dirty pages back though nobody waits. */
  #writeBack(): boolean {
    const disk = this.#kernel.toFlush;
    return disk !== undefined && this.#cached[disk.index]?.writeBack() === true;
  }

  #cachedIo(disk: GuestDisk): CachedIo | undefined {
    const { cache } = disk;
    if (cache === undefined) return undefined;
    return new CachedIo(this.#kernel, disk, cache, {
      index: this.index,
      begin: (slot) => {
        this.#take(slot);
        this.#sectorsDone = 0;
        this.#phase = P.bio;
      },
      answer: (slot) => this.answer(slot),
      lookUpNext: (slot) => void this.#retries.unshift(slot),
    });
  }

  // ---- block layer and driver ----

  #makeBio(): boolean {
    const slot = this.#slot;
    const first = this.#sectorsDone === 0;
    this.#bio = this.#at.layer.bio(slot, this.#sectorsDone);
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
    const { layer, isOpen } = this.#at;
    const { slot, op, sector, sectors } = bio;
    const merged = layer.merge(bio);
    const more = this.#sectorsDone < slot.bytes / 512;
    const dispatch = isOpen && this.#submitted >= this.#programs.batch;
    this.#phase = more ? P.bio : dispatch ? P.issue : P.choose;
    if (merged !== undefined) {
      const into = layer.mergedInto?.requestId ?? 0;
      const event = merged === 'back' ? E.block_bio_backmerge : E.block_bio_frontmerge;
      return this.#emitSector(event, slot.requestId, into, sector, sectors);
    }
    layer.insert(bio);
    return this.#emitSector(E.block_rq_insert, slot.requestId, op, sector, sectors);
  }

  /** Takes the oldest waiting request; when there is none the driver hears that the batch is over. */
  #issue(): boolean {
    const { layer, isOpen } = this.#at;
    const request = isOpen ? layer.take() : undefined;
    this.#submitted = 0;
    if (request === undefined) return this.#commit();
    this.#request = request;
    request.disk.inFlight++;
    this.#phase = P.queueRq;
    return this.#emitSector(E.block_rq_issue, request.requestId, request.op, request.sector, request.sectors);
  }

  #commit(): boolean {
    const { thread, hardware } = this.#at;
    this.#phase = P.commit;
    thread.commit(hardware.index);
    return this.step();
  }

  #queueRq(): boolean {
    const request = this.#request;
    const { layer, thread, hardware } = this.#at;
    if (!hardware.lock(this.index)) return false;
    if (thread.hasRoom(hardware.index, request)) {
      hardware.served(this.#at);
      thread.submit(hardware.index, request);
      this.#phase = P.submit;
      return this.step();
    }
    const { requestId, op, sector, sectors } = request;
    layer.requeue(request);
    request.disk.inFlight--;
    hardware.unlock(this.#kernel.wake);
    hardware.stopped = true;
    thread.commit(hardware.index);
    this.#phase = P.commit;
    return this.#emitSector(E.block_rq_requeue, requestId, op, sector, sectors);
  }

  // ---- up: interrupt, driver, block layer, program ----

  #inject(): boolean {
    if (!this.#handlers.inject()) return false;
    this.#phase = P.irqEntry;
    return true;
  }

  #irqEntry(): boolean {
    this.#phase = P.interrupt;
    return this.#handlers.enter();
  }

  #interrupt(): boolean {
    if (this.#handlers.step()) return true;
    return this.#turnTo(this.#handlers.restart()) ? this.#issue() : this.#irqExit();
  }

  /** The driver is done with a request, or wants it back. */
  complete(request: BlockRequest): void {
    this.#completed.push(request);
  }

  #complete(request: BlockRequest): boolean {
    const { requestId, op, sector, sectors, error, disk } = request;
    const { layer } = this.#queues[disk.index];
    this.#kernel.madeRoom(disk, this.index);
    if (request.again) {
      request.again = false;
      layer.requeue(request);
      return this.#emitSector(E.block_rq_requeue, requestId, op, sector, sectors);
    }
    layer.complete(request, (slot) => this.#kernel.answered(slot, this.index));
    return this.#emitSector(E.block_rq_complete, requestId, op, sector, error);
  }

  #irqExit(): boolean {
    this.#phase = this.#handlers.exit() ? P.irqEntry : P.choose;
    return true;
  }

  /** A request of one of this CPU's programs is done; the program hears of it when its turn comes. */
  answer(slot: Slot): void {
    this.#answered.push(slot);
  }

  #answer(slot: Slot): boolean {
    if (slot.use !== 'program') return this.#cached[slot.disk.index]?.endOwn(slot) ?? false;
    this.#programs.answer(slot);
    // When the last program is done, CPU 0 writes back what is left.
    if (this.index !== 0 && this.#kernel.toFlush !== undefined) this.#kernel.wake(0);
    return this.#emit(E.io_getevents, slot.requestId, slot.op, slot.bytes, slot.error);
  }
}

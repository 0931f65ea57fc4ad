/**
 * The simulated guest's virtual CPU: program, block layer, driver and interrupt handler as one resumable machine. `step` does one
 * thing that can be seen (one event) and answers whether it did anything; between any two steps the whole machine can stand still
 * and be looked at.
 */
import type { Workload } from '#contract/settings.ts';
import type { InterruptController, PendingInterrupt } from '../machine/interrupts.ts';
import type { Doorbell } from '../machine/address-space.ts';
import type { GuestMemory } from '../machine/memory.ts';
import { EXIT, OP } from '../trace/format.ts';
import { E } from '../trace/registry.ts';
import { highWord, type TraceRing } from '../trace/ring.ts';
import type { GuestAllocator } from './allocator.ts';
import { BlockLayer } from './block-layer.ts';
import { Slot, type Bio, type BlockRequest } from './block-request.ts';
import type { GuestBus } from './bus.ts';
import { typeOf, type GuestQueue, type VirtioBlkDriver } from './virtio-blk.ts';
import { fillPattern, type WorkloadGenerator } from './workload.ts';

/** What the virtual CPU does next. */
const P = {
  choose: 0,
  bio: 1,
  split: 2,
  place: 3,
  issue: 4,
  queueRq: 5,
  add: 6,
  kick: 7,
  exit: 8,
  fastMmio: 9,
  signal: 10,
  mmio: 11,
  userspaceExit: 12,
  userspaceWrite: 13,
  userspace: 14,
  entry: 15,
  irqEntry: 16,
  isr: 17,
  done: 18,
  getBuf: 19,
  complete: 20,
  irqExit: 21,
} as const;

export interface GuestCpuOptions {
  memory: GuestMemory;
  allocator: GuestAllocator;
  bus: GuestBus;
  interrupts: InterruptController;
  trace: TraceRing;
  driver: VirtioBlkDriver;
  generator: WorkloadGenerator;
  workload: Workload;
  /** Bytes of guest memory that the program's buffers may take together. */
  bufferBytes: number;
  /** QEMU's device code, run on this virtual CPU's thread when a doorbell has no ioeventfd. */
  deviceStep: () => boolean;
  nextRequestId: () => number;
}

export class GuestCpu {
  /** The program's requests, one for each unit of `iodepth`. */
  readonly slots: readonly Slot[];
  readonly counters = { requests: 0, bytes: 0, reads: 0, writes: 0, flushes: 0, errors: 0 };
  inFlight = 0;
  /** The device's code runs on this CPU's thread right now. */
  inUserspace = false;
  readonly #o: GuestCpuOptions;
  readonly #layer: BlockLayer;
  readonly #freeSlots: Slot[] = [];
  readonly #answered: Slot[] = [];
  readonly #batch: number;
  #phase: number = P.choose;
  /** Requests of the batch that is being submitted. */
  #submitted = 0;
  #slot!: Slot;
  #sectorsDone = 0;
  #bio!: Bio;
  #request!: BlockRequest;
  #queue: GuestQueue;
  #kickFor = 0;
  #doorbell: Doorbell | undefined;
  #irq: PendingInterrupt | undefined;
  #irqQueues: GuestQueue[] = [];
  #isr: Generator<void, number> | undefined;
  /** The driver said that its ring is full; it looks again after the next completion. */
  #stopped = false;

  constructor(options: GuestCpuOptions) {
    const { workload, driver, allocator } = options;
    this.#o = options;
    this.#layer = new BlockLayer(driver.limits);
    this.#queue = driver.queues[0];
    const depth = Math.max(1, Math.min(workload.iodepth, Math.floor(options.bufferBytes / workload.bs)));
    this.slots = Array.from({ length: depth }, () => new Slot(allocator.take(workload.bs)));
    this.#freeSlots.push(...this.slots.toReversed());
    this.#batch = Math.min(workload.iodepthBatch ?? 1, depth);
  }

  /** The program has had the answer to everything that it will ever ask for. */
  get finished(): boolean {
    return this.inFlight === 0 && this.#phase === P.choose && this.#o.generator.finished && !this.hasWork;
  }

  /** Whether `step` would do something. */
  get hasWork(): boolean {
    return (
      this.#phase !== P.choose ||
      this.#o.interrupts.anyPending ||
      this.#answered.length > 0 ||
      (this.#layer.waiting.length > 0 && !this.#stopped) ||
      (this.#freeSlots.length > 0 && !this.#o.generator.finished)
    );
  }

  step(): boolean {
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
      case P.add:
        return this.#add();
      case P.kick:
        return this.#kick();
      case P.irqEntry:
        return this.#irqEntry();
      case P.isr:
        return this.#readIsr();
      case P.done:
        return this.#done();
      case P.getBuf:
        return this.#getBuf();
      case P.complete:
        return this.#complete();
      case P.irqExit:
        return this.#irqExit();
      case P.choose:
        return this.#choose();
      default:
        return this.#doorbellStep();
    }
  }

  #emit(event: number, requestId: number, a = 0, b = 0, c = 0, d = 0): true {
    this.#o.trace.emit(event, requestId, a, b, c, d);
    return true;
  }

  /** `op, sector, sectors` as most events of the block layer have them. */
  #emitSector(event: number, requestId: number, first: number, sector: number, last: number): true {
    return this.#emit(event, requestId, first, sector >>> 0, highWord(sector), last);
  }

  #choose(): boolean {
    const { interrupts } = this.#o;
    if (interrupts.anyPending) return this.#inject();
    const answered = this.#answered.shift();
    if (answered !== undefined) return this.#answer(answered);
    if (this.#submitted < this.#batch && this.#submit()) return true;
    this.#submitted = 0;
    if (this.#layer.waiting.length > 0 && !this.#stopped) return this.#issue();
    return false;
  }

  // ---- down: program, block layer, driver ----

  #submit(): boolean {
    const slot = this.#freeSlots.at(-1);
    if (slot === undefined || !this.#o.generator.next(slot)) return false;
    this.#freeSlots.pop();
    const { memory, workload, nextRequestId } = this.#o;
    slot.requestId = nextRequestId();
    slot.pending = 0;
    slot.error = 0;
    slot.busy = true;
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
    this.#phase = P.bio;
    return this.#emitSector(E.io_submit, slot.requestId, slot.op, slot.offset / 512, slot.bytes);
  }

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

  /** Takes the oldest waiting request; when there is none the doorbell is next. */
  #issue(): boolean {
    const request = this.#stopped ? undefined : this.#layer.take();
    this.#submitted = 0;
    if (request === undefined) return this.#kick();
    this.#request = request;
    this.#phase = P.queueRq;
    return this.#emitSector(E.block_rq_issue, request.requestId, request.op, request.sector, request.sectors);
  }

  #queueRq(): boolean {
    const request = this.#request;
    if (!this.#o.driver.hasRoom(this.#queue, request)) {
      this.#layer.requeue(request);
      this.#stopped = true;
      this.#phase = P.kick;
      return this.#emitSector(
        E.block_rq_requeue,
        request.requestId,
        request.op,
        request.sector,
        request.sectors,
      );
    }
    this.#phase = P.add;
    return this.#emit(
      E.virtio_queue_rq,
      request.requestId,
      0,
      typeOf(request.op),
      request.sector >>> 0,
      highWord(request.sector),
    );
  }

  #add(): boolean {
    const request = this.#request;
    const { driver } = this.#o;
    const head = driver.add(this.#queue, request);
    const buffers = request.op === OP.flush ? 0 : request.count;
    const out = 1 + (request.op === OP.write ? buffers : 0);
    if (this.#kickFor === 0) this.#kickFor = request.requestId;
    this.#phase = this.#layer.waiting.length > 0 ? P.issue : P.kick;
    return this.#emit(E.virtqueue_add, request.requestId, 0, head, out, 2 + buffers - out);
  }

  #kick(): boolean {
    const { ring } = this.#queue;
    const wanted = ring.kick();
    const requestId = this.#kickFor;
    if (!wanted) this.#kickFor = 0;
    this.#phase = wanted ? P.exit : P.choose;
    if (this.#irq !== undefined && !wanted) this.#phase = P.irqExit;
    return this.#emit(E.virtqueue_kick, requestId, 0, ring.availIdx, wanted ? 1 : 0);
  }

  // ---- down: the doorbell ----

  #doorbellStep(): boolean {
    const { bus } = this.#o;
    const address = this.#queue.doorbell;
    const requestId = this.#kickFor;
    const [low, high] = [address >>> 0, highWord(address)];
    switch (this.#phase) {
      case P.exit:
        this.#doorbell = bus.memory.doorbellAt(address);
        this.#phase = this.#doorbell === undefined ? P.mmio : P.fastMmio;
        return this.#emit(E.kvm_exit, requestId, EXIT.eptMisconfig, low, high, 2);
      case P.fastMmio:
        this.#phase = P.signal;
        return this.#emit(E.kvm_fast_mmio, requestId, low, high);
      case P.signal:
        this.#emit(E.ioeventfd_signal, requestId, this.#doorbell?.queue ?? 0);
        this.#doorbell?.ring(0);
        this.#phase = P.entry;
        return true;
      case P.mmio:
        this.#phase = P.userspaceExit;
        return this.#emit(E.kvm_mmio, requestId, 1, low, high, 0);
      case P.userspaceExit:
        this.#phase = P.userspaceWrite;
        return this.#emit(E.kvm_userspace_exit, requestId, EXIT.eptMisconfig);
      case P.userspaceWrite:
        bus.memory.write(address, 2, 0);
        this.inUserspace = true;
        this.#phase = P.userspace;
        return true;
      case P.userspace:
        if (this.#o.deviceStep()) return true;
        this.inUserspace = false;
        this.#phase = P.entry;
        return this.step();
      default:
        this.#kickFor = 0;
        this.#phase = this.#irq === undefined ? P.choose : P.irqExit;
        return this.#emit(E.kvm_entry, requestId, 0);
    }
  }

  // ---- up: interrupt, driver, block layer, program ----

  #inject(): boolean {
    const irq = this.#o.interrupts.take();
    if (irq === undefined) return false;
    this.#irq = irq;
    this.#phase = P.irqEntry;
    return this.#emit(E.kvm_inj_virq, irq.requestId, irq.vector);
  }

  #irqEntry(): boolean {
    const irq = this.#irq;
    const { driver } = this.#o;
    const { transport } = driver;
    this.#irqQueues = driver.queues.filter(
      (_, index) => irq?.kind === 'intx' || transport.apicVector(transport.vectorOf(index)) === irq?.vector,
    );
    this.#phase = irq?.kind === 'intx' ? P.isr : P.done;
    return this.#emit(E.irq_handler_entry, irq?.requestId ?? 0, irq?.vector ?? 0);
  }

  /** With INTx the handler must ask the device whether it was it: one more exit, and a slow one. */
  #readIsr(): boolean {
    this.#isr ??= this.#o.driver.transport.readIsr();
    const step = this.#isr.next();
    if (step.done === true) {
      this.#isr = undefined;
      this.#phase = (step.value & 1) === 1 ? P.done : P.irqExit;
    }
    return true;
  }

  #done(): boolean {
    const queue = this.#irqQueues[0];
    if (queue === undefined) return this.#irqExit();
    queue.ring.setInterrupts(false);
    this.#phase = P.getBuf;
    return this.#emit(E.virtblk_done, this.#irq?.requestId ?? 0, this.#o.driver.queues.indexOf(queue));
  }

  #getBuf(): boolean {
    const queue = this.#irqQueues[0];
    const { ring } = queue;
    const { driver } = this.#o;
    if (ring.take()) {
      this.#request = driver.finished(queue);
      this.#phase = P.complete;
      const index = driver.queues.indexOf(queue);
      return this.#emit(E.virtqueue_get_buf, this.#request.requestId, index, ring.usedHead, ring.usedLength);
    }
    // Section 2.7.7.1: after asking for interrupts again one has to look once more.
    if (ring.setInterrupts(true)) {
      ring.setInterrupts(false);
      return this.#getBuf();
    }
    this.#irqQueues.shift();
    if (this.#irqQueues.length > 0) return this.#done();
    if (this.#stopped) {
      this.#stopped = false;
      if (this.#layer.waiting.length > 0) return this.#issue();
    }
    return this.#irqExit();
  }

  #complete(): boolean {
    const request = this.#request;
    const { requestId, op, sector, error } = request;
    this.#layer.complete(request, (slot) => this.#answered.push(slot));
    this.#phase = P.getBuf;
    return this.#emitSector(E.block_rq_complete, requestId, op, sector, error);
  }

  #irqExit(): boolean {
    const irq = this.#irq;
    this.#irq = undefined;
    this.#phase = P.choose;
    return this.#emit(E.irq_handler_exit, irq?.requestId ?? 0, irq?.vector ?? 0);
  }

  #answer(slot: Slot): boolean {
    const { counters } = this;
    counters.requests++;
    if (slot.error !== 0) counters.errors++;
    else counters.bytes += slot.bytes;
    if (slot.op === OP.read) counters.reads++;
    else if (slot.op === OP.write) counters.writes++;
    else counters.flushes++;
    slot.busy = false;
    this.inFlight--;
    this.#freeSlots.push(slot);
    return this.#emit(E.io_getevents, slot.requestId, slot.op, slot.bytes, slot.error);
  }
}

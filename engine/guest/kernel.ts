/** What the virtual CPUs of the guest share: driver, memory, counters, and which hardware queues wait for room. */
import type { Workload } from '#contract/settings.ts';
import type { GuestMemory } from '../machine/memory.ts';
import { OP } from '../trace/format.ts';
import type { TraceRing } from '../trace/ring.ts';
import type { Slot } from './block-request.ts';
import type { GuestCpu } from './cpu.ts';
import type { GuestDriver } from './driver.ts';
import type { PageCache } from './page-cache.ts';
import type { Job } from './job.ts';

export interface GuestKernelOptions {
  memory: GuestMemory;
  trace: TraceRing;
  driver: GuestDriver;
  workload: Workload;
  nextRequestId: () => number;
  /** A CPU has something to do that it did not know of. */
  wake: (cpu: number) => void;
  /** Undefined when the programs go around it (O_DIRECT). */
  cache?: PageCache;
}

export class GuestKernel {
  readonly memory: GuestMemory;
  readonly trace: TraceRing;
  readonly driver: GuestDriver;
  readonly workload: Workload;
  readonly nextRequestId: () => number;
  readonly wake: (cpu: number) => void;
  readonly cache: PageCache | undefined;
  readonly counters = { requests: 0, bytes: 0, reads: 0, writes: 0, flushes: 0, errors: 0 };
  /** The programs ask for nothing more until this is taken back. */
  frozen = false;
  /** Set by who builds the guest. */
  cpus: readonly GuestCpu[] = [];
  jobs: readonly Job[] = [];
  /** For each hardware queue whether its driver had no room; it is asked again after a completion. */
  readonly #stopped: boolean[] = [];
  /** The CPU that is handing a request to a hardware queue; CPUs that wait for that. */
  readonly #holders = new Map<number, number>();
  readonly #waiters = new Set<number>();
  #cacheWaiters: Slot[] = [];

  constructor(options: GuestKernelOptions) {
    this.memory = options.memory;
    this.trace = options.trace;
    this.driver = options.driver;
    this.workload = options.workload;
    this.nextRequestId = options.nextRequestId;
    this.wake = options.wake;
    this.cache = options.cache;
  }

  /**
   * Takes the hardware queue's lock (the driver's `vq->lock`) for a CPU. False while another CPU hands a request over: this one is
   * woken when it may try again.
   */
  lock(queue: number, cpu: number): boolean {
    const holder = this.#holders.get(queue);
    if (holder === undefined || holder === cpu) {
      this.#holders.set(queue, cpu);
      return true;
    }
    this.#waiters.add(cpu);
    return false;
  }
  unlock(queue: number): void {
    this.#holders.delete(queue);
    for (const cpu of this.#waiters) this.wake(cpu);
    this.#waiters.clear();
  }

  isStopped(queue: number): boolean {
    return this.#stopped[queue] ?? false;
  }
  stop(queue: number): void {
    this.#stopped[queue] = true;
  }

  /** A completion made room: whoever waits for it goes on. Answers whether `cpu` itself does. */
  restartQueues(cpu: number): boolean {
    let own = false;
    for (const other of this.cpus) {
      if (!this.isStopped(other.queue)) continue;
      if (other.index === cpu) own = true;
      else this.wake(other.index);
    }
    this.#stopped.fill(false);
    return own;
  }

  /** The program's request waits until something of the page cache has ended. */
  waitForCache(slot: Slot): void {
    this.#cacheWaiters.push(slot);
  }
  /** A request of the page cache has ended: whoever waits tries again, and who waited for what could not be read hears of it. */
  cacheChanged(ended: Slot, cpu: number): void {
    const waiters = this.#cacheWaiters;
    this.#cacheWaiters = [];
    const end = ended.offset + ended.bytes;
    for (const slot of waiters) {
      const touched = slot.op !== OP.flush && slot.offset < end && slot.offset + slot.bytes > ended.offset;
      if (touched && ended.use === 'read' && ended.error !== 0) {
        slot.error = ended.error;
        this.cpus[slot.cpu].answer(slot);
      } else this.cpus[slot.cpu].retry(slot);
      if (slot.cpu !== cpu) this.wake(slot.cpu);
    }
    if (this.shouldFlush && cpu !== 0) this.wake(0);
  }

  /** CPU 0 writes dirty pages back though nobody waits: there are many, or the programs are done. */
  get shouldFlush(): boolean {
    const { cache } = this;
    if (cache === undefined || cache.dirty === 0 || cache.flushesEnough) return false;
    return cache.overBackground || this.jobs.every(({ finished }) => finished);
  }

  /** The last piece of a program's request is done. */
  answered(slot: Slot, cpu: number): void {
    this.cpus[slot.cpu].answer(slot);
    if (slot.cpu !== cpu) this.wake(slot.cpu);
  }

  /** The programs' requests. */
  get slots(): readonly Slot[] {
    return this.jobs.flatMap(({ slots }) => slots);
  }

  /** The programs have had the answers to everything that they will ever ask for. */
  get finished(): boolean {
    const clean = this.cache === undefined || this.cache.dirty + this.cache.busy === 0;
    return clean && this.cpus.every((cpu) => cpu.finished);
  }
}

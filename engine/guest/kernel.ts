/** What the virtual CPUs of the guest share: disks, memory, and the hardware queues with who waits for room in them. */
import type { Workload } from '#contract/settings.ts';
import type { GuestMemory } from '../machine/memory.ts';
import { OP } from '../trace/format.ts';
import type { TraceRing } from '../trace/ring.ts';
import type { Slot } from './block-request.ts';
import type { GuestCpu } from './cpu.ts';
import { noCounters, type DiskCounters, type GuestDisk } from './disk.ts';
import type { GuestDriver } from './driver.ts';
import { HardwareQueue } from './hardware-queue.ts';
import type { Job } from './job.ts';

export interface GuestKernelOptions {
  memory: GuestMemory;
  trace: TraceRing;
  disks: readonly GuestDisk[];
  workload: Workload;
  nextRequestId: () => number;
  /** A CPU has something to do that it did not know of. */
  wake: (cpu: number) => void;
}

export class GuestKernel {
  readonly memory: GuestMemory;
  readonly trace: TraceRing;
  readonly disks: readonly GuestDisk[];
  /** Each once, in the order of the disks. */
  readonly drivers: readonly GuestDriver[];
  readonly workload: Workload;
  readonly nextRequestId: () => number;
  readonly wake: (cpu: number) => void;
  /** The programs ask for nothing more until this is taken back. */
  frozen = false;
  /** Set by who builds the guest. */
  cpus: readonly GuestCpu[] = [];
  jobs: readonly Job[] = [];
  readonly #queues = new Map<GuestDriver, HardwareQueue[]>();
  /** The disks that programs reach through the page cache. */
  readonly #cached: readonly GuestDisk[];
  #cacheWaiters: Slot[] = [];

  constructor(options: GuestKernelOptions) {
    this.memory = options.memory;
    this.trace = options.trace;
    this.disks = options.disks;
    this.drivers = [...new Set(options.disks.map(({ driver }) => driver))];
    this.#cached = options.disks.filter(({ cache }) => cache !== undefined);
    this.workload = options.workload;
    this.nextRequestId = options.nextRequestId;
    this.wake = options.wake;
  }

  /** The hardware queues of a driver that somebody submits to. */
  queuesOf(driver: GuestDriver): HardwareQueue[] {
    const known = this.#queues.get(driver) ?? [];
    this.#queues.set(driver, known);
    return known;
  }
  hardwareQueue(driver: GuestDriver, index: number): HardwareQueue {
    const queues = this.queuesOf(driver);
    const known = queues.find((queue) => queue.index === index);
    if (known !== undefined) return known;
    const queue = new HardwareQueue(index);
    queues.push(queue);
    return queue;
  }

  /** A disk has a request less: CPUs whose requests wait because it had as many as it takes go on. */
  madeRoom(disk: GuestDisk, cpu: number): void {
    const full = !disk.hasBudget;
    disk.inFlight--;
    if (!full) return;
    for (const { feeders } of this.queuesOf(disk.driver)) {
      for (const feeder of feeders) {
        if (feeder.disk === disk && feeder.cpu !== cpu && feeder.isWaiting) this.wake(feeder.cpu);
      }
    }
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
      const touched =
        slot.disk === ended.disk &&
        slot.op !== OP.flush &&
        slot.offset < end &&
        slot.offset + slot.bytes > ended.offset;
      if (touched && ended.use === 'read' && ended.error !== 0) {
        slot.error = ended.error;
        this.cpus[slot.cpu].answer(slot);
      } else this.cpus[slot.cpu].retry(slot);
      if (slot.cpu !== cpu) this.wake(slot.cpu);
    }
    if (cpu !== 0 && this.toFlush !== undefined) this.wake(0);
  }

  /** The disk whose dirty pages CPU 0 writes back though nobody waits: there are many, or the programs are done. */
  get toFlush(): GuestDisk | undefined {
    for (const disk of this.#cached) {
      const { cache } = disk;
      if (cache === undefined || cache.dirty === 0 || cache.flushesEnough) continue;
      if (cache.overBackground || this.jobs.every(({ finished }) => finished)) return disk;
    }
    return undefined;
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
    const clean = this.#cached.every(({ cache }) => cache === undefined || cache.dirty + cache.busy === 0);
    return clean && this.cpus.every((cpu) => cpu.finished);
  }

  /** What the programs have had of all disks together. */
  get counters(): DiskCounters {
    const sum = noCounters();
    for (const { counters } of this.disks) {
      for (const [name, value] of Object.entries(counters)) sum[name as keyof DiskCounters] += value;
    }
    return sum;
  }
}

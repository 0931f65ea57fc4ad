/**
 * Who runs next: a virtual CPU, one of QEMU's threads, or the disk. Each has its own place on the model clock; the one that is furthest
 * behind runs, so that what happens at the same time in the model interleaves as it would, and always in the same way.
 */
import type { GuestCpu } from '../guest/cpu.ts';
import type { HostIo } from '../machine/host-io.ts';
import type { TraceRing } from '../trace/ring.ts';
import { MAIN_LOOP } from './qemu-thread.ts';
import type { Watchdog } from './watchdog.ts';

/** A thread of QEMU's, as the scheduler knows it. */
export interface SchedulerThread {
  readonly host: HostIo;
  /** Does one thing; false when there is nothing. */
  step(): boolean;
}

const NOBODY = -1;

export class Scheduler {
  readonly #trace: TraceRing;
  readonly #switchNs: number;
  readonly #watchdog: Watchdog;
  #cpus: readonly GuestCpu[] = [];
  #cpuNs = new Float64Array(0);
  #awake = new Uint8Array(0);
  /** The main loop first. */
  readonly #threads: SchedulerThread[] = [];
  readonly #threadNs: number[] = [];
  readonly #threadAwake: boolean[] = [];
  /** The virtual CPUs stand still: the machine is being drained. */
  cpuStopped = false;

  /** `switchNs`: what waking a sleeping thread costs. All places begin at the trace's model time. */
  constructor(trace: TraceRing, switchNs: number, watchdog: Watchdog) {
    this.#trace = trace;
    this.#switchNs = switchNs;
    this.#watchdog = watchdog;
  }

  /** Adds the next thread of QEMU's, by its number. */
  addThread(thread: SchedulerThread): void {
    this.#threads.push(thread);
    this.#threadNs.push(this.#trace.modelNs);
    this.#threadAwake.push(false);
  }

  /** The guest is up: everybody begins here. */
  attach(cpus: readonly GuestCpu[]): void {
    this.#cpus = cpus;
    this.#cpuNs = new Float64Array(cpus.length).fill(this.#trace.modelNs);
    this.#awake = new Uint8Array(cpus.length).fill(1);
    this.#threadNs.fill(this.#trace.modelNs);
  }

  /** The furthest place on the model clock, nanoseconds. */
  get modelNs(): number {
    return Math.max(...this.#threadNs, ...this.#cpuNs);
  }

  /** An interrupt is pending on a CPU, or it has something to do for another reason, as of now by the model clock. */
  wakeCpu(cpu: number): void {
    if (this.#awake[cpu] === 1) return;
    this.#awake[cpu] = 1;
    this.#cpuNs[cpu] = Math.max(this.#cpuNs[cpu], this.#trace.modelNs);
  }

  /** Every CPU looks whether it has something to do. */
  wakeAll(): void {
    for (let cpu = 0; cpu < this.#cpus.length; cpu++) this.wakeCpu(cpu);
  }

  /** A doorbell was rung or the disk is done, as of now by the model clock. */
  wakeQemu(thread: number): void {
    if (this.#threadAwake[thread]) return;
    this.#threadAwake[thread] = true;
    this.#threadNs[thread] = Math.max(this.#threadNs[thread], this.#trace.modelNs + this.#switchNs);
  }

  /** Every thread of QEMU's looks whether it has something to do. */
  wakeThreads(): void {
    for (let thread = 0; thread < this.#threads.length; thread++) this.wakeQemu(thread);
  }

  /** The CPU that is furthest behind, or -1 when all of them sleep. */
  #nextCpu(): number {
    let next = -1;
    if (this.cpuStopped) return next;
    for (let cpu = 0; cpu < this.#cpus.length; cpu++) {
      if (this.#awake[cpu] === 1 && (next < 0 || this.#cpuNs[cpu] < this.#cpuNs[next])) next = cpu;
    }
    return next;
  }

  /** While a CPU runs QEMU's device code, the main loop waits for the lock; an IOThread needs none. */
  get #locked(): boolean {
    if (this.cpuStopped) return false;
    for (const cpu of this.#cpus) if (cpu.inUserspace) return true;
    return false;
  }

  /** The thread of QEMU's that is furthest behind, or -1 when none can run. */
  #nextThread(): number {
    let next = NOBODY;
    for (let thread = 0; thread < this.#threads.length; thread++) {
      if (!this.#threadAwake[thread] || (thread === MAIN_LOOP && this.#locked)) continue;
      if (next < 0 || this.#threadNs[thread] < this.#threadNs[next]) next = thread;
    }
    return next;
  }

  /** The thread for which the disk has something to do first, or -1. */
  #nextDisk(): number {
    let next = NOBODY;
    for (let thread = 0; thread < this.#threads.length; thread++) {
      const due = this.#threads[thread].host.hardwareDue;
      if (due < Infinity && (next < 0 || due < this.#threads[next].host.hardwareDue)) next = thread;
    }
    return next;
  }

  /**
   * Lets somebody do one thing; false when there is nothing to do (the work is done, or a block node has yet to answer). Throws
   * `lab.no-progress` when the machine gets nowhere.
   */
  step(): boolean {
    const trace = this.#trace;
    for (;;) {
      this.#watchdog.step();
      const cpu = this.#nextCpu();
      const cpuDue = cpu < 0 ? Infinity : this.#cpuNs[cpu];
      const thread = this.#nextThread();
      const threadDue = thread < 0 ? Infinity : this.#threadNs[thread];
      const disk = this.#nextDisk();
      const diskDue = disk < 0 ? Infinity : this.#threads[disk].host.hardwareDue;
      if (diskDue < cpuDue && diskDue < threadDue) {
        trace.modelNs = diskDue;
        this.#threads[disk].host.stepHardware();
        this.wakeQemu(disk);
        return true;
      }
      if (cpuDue === Infinity && threadDue === Infinity) return false;
      if (cpuDue <= threadDue) {
        trace.modelNs = cpuDue;
        const did = this.#cpus[cpu].step();
        this.#cpuNs[cpu] = trace.modelNs;
        if (did) return true;
        this.#awake[cpu] = 0;
      } else {
        trace.modelNs = threadDue;
        const did = this.#threads[thread].step();
        this.#threadNs[thread] = trace.modelNs;
        if (did) return true;
        this.#threadAwake[thread] = false;
      }
    }
  }
}

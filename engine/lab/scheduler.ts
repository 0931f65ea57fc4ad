/**
 * Who runs next: a virtual CPU, QEMU's thread, or the disk. Each has its own place on the model clock; the one that is furthest
 * behind runs, so that what happens at the same time in the model interleaves as it would, and always in the same way.
 */
import type { GuestCpu } from '../guest/cpu.ts';
import type { HostIo } from '../machine/host-io.ts';
import type { TraceRing } from '../trace/ring.ts';
import type { Watchdog } from './watchdog.ts';

export class Scheduler {
  readonly #trace: TraceRing;
  readonly #host: HostIo;
  readonly #switchNs: number;
  readonly #watchdog: Watchdog;
  #cpus: readonly GuestCpu[] = [];
  #qemu!: () => boolean;
  #cpuNs = new Float64Array(0);
  #awake = new Uint8Array(0);
  #qemuNs: number;
  #qemuAwake = false;
  /** The virtual CPUs stand still: the machine is being drained. */
  cpuStopped = false;

  /** `switchNs`: what waking a sleeping thread costs. All places begin at the trace's model time. */
  constructor(trace: TraceRing, host: HostIo, switchNs: number, watchdog: Watchdog) {
    this.#trace = trace;
    this.#host = host;
    this.#switchNs = switchNs;
    this.#watchdog = watchdog;
    this.#qemuNs = trace.modelNs;
  }

  attach(cpus: readonly GuestCpu[], qemu: () => boolean): void {
    this.#cpus = cpus;
    this.#qemu = qemu;
    this.#cpuNs = new Float64Array(cpus.length).fill(this.#trace.modelNs);
    this.#awake = new Uint8Array(cpus.length).fill(1);
    this.#qemuNs = this.#trace.modelNs;
  }

  /** The furthest place on the model clock, nanoseconds. */
  get modelNs(): number {
    let furthest = this.#qemuNs;
    for (const ns of this.#cpuNs) if (ns > furthest) furthest = ns;
    return furthest;
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
  wakeQemu(): void {
    if (this.#qemuAwake) return;
    this.#qemuAwake = true;
    this.#qemuNs = Math.max(this.#qemuNs, this.#trace.modelNs + this.#switchNs);
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

  /** While a CPU runs QEMU's device code, QEMU's thread waits for the lock. */
  get #locked(): boolean {
    if (this.cpuStopped) return false;
    for (const cpu of this.#cpus) if (cpu.inUserspace) return true;
    return false;
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
      const qemuDue = this.#qemuAwake && !this.#locked ? this.#qemuNs : Infinity;
      const diskDue = this.#host.hardwareDue;
      if (diskDue < cpuDue && diskDue < qemuDue) {
        trace.modelNs = diskDue;
        this.#host.stepHardware();
        this.wakeQemu();
        return true;
      }
      if (cpuDue === Infinity && qemuDue === Infinity) return false;
      if (cpuDue <= qemuDue) {
        trace.modelNs = cpuDue;
        const did = this.#cpus[cpu].step();
        this.#cpuNs[cpu] = trace.modelNs;
        if (did) return true;
        this.#awake[cpu] = 0;
      } else {
        trace.modelNs = qemuDue;
        const did = this.#qemu();
        this.#qemuNs = trace.modelNs;
        if (did) return true;
        this.#qemuAwake = false;
      }
    }
  }
}

/**
 * Who runs next: the virtual CPU, QEMU's thread, or the disk. Each has its own place on the model clock; the one that is furthest
 * behind runs, so that what happens at the same time in the model interleaves as it would, and always in the same way.
 */
import type { GuestCpu } from '../guest/cpu.ts';
import type { HostIo } from '../machine/host-io.ts';
import type { TraceRing } from '../trace/ring.ts';

export class Scheduler {
  readonly #trace: TraceRing;
  readonly #host: HostIo;
  readonly #switchNs: number;
  #cpu!: GuestCpu;
  #qemu!: () => boolean;
  #cpuNs: number;
  #qemuNs: number;
  #cpuAwake = true;
  #qemuAwake = false;
  /** The virtual CPU stands still: the machine is being drained. */
  cpuStopped = false;

  /** `switchNs`: what waking a sleeping thread costs. All places begin at the trace's model time. */
  constructor(trace: TraceRing, host: HostIo, switchNs: number) {
    this.#trace = trace;
    this.#host = host;
    this.#switchNs = switchNs;
    this.#cpuNs = this.#qemuNs = trace.modelNs;
  }

  attach(cpu: GuestCpu, qemu: () => boolean): void {
    this.#cpu = cpu;
    this.#qemu = qemu;
    this.#cpuNs = this.#qemuNs = this.#trace.modelNs;
  }

  /** The furthest place on the model clock, nanoseconds. */
  get modelNs(): number {
    return Math.max(this.#cpuNs, this.#qemuNs);
  }

  /** An interrupt is pending, as of now by the model clock. */
  wakeCpu(): void {
    if (this.#cpuAwake) return;
    this.#cpuAwake = true;
    this.#cpuNs = Math.max(this.#cpuNs, this.#trace.modelNs);
  }

  /** A doorbell was rung or the disk is done, as of now by the model clock. */
  wakeQemu(): void {
    if (this.#qemuAwake) return;
    this.#qemuAwake = true;
    this.#qemuNs = Math.max(this.#qemuNs, this.#trace.modelNs + this.#switchNs);
  }

  /** Lets somebody do one thing; false when there is nothing to do (the work is done, or a block node has yet to answer). */
  step(): boolean {
    const trace = this.#trace;
    for (;;) {
      const cpuDue = this.#cpuAwake && !this.cpuStopped ? this.#cpuNs : Infinity;
      const qemuDue =
        this.#qemuAwake && (this.cpuStopped || !this.#cpu.inUserspace) ? this.#qemuNs : Infinity;
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
        const did = this.#cpu.step();
        this.#cpuNs = trace.modelNs;
        if (did) return true;
        this.#cpuAwake = false;
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

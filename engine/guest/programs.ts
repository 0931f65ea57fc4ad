/** The programs of one virtual CPU: which of them asks next, what it writes, and how it has its answer. */
import { OP } from '../trace/format.ts';
import type { Slot } from './block-request.ts';
import type { Job } from './job.ts';
import type { GuestKernel } from './kernel.ts';
import { fillPattern } from './workload.ts';

export class Programs {
  /** Most requests that are asked for before the driver hears of them. */
  readonly batch: number;
  readonly #kernel: GuestKernel;
  readonly #jobs: readonly Job[];
  /** Requests that wait for their answer. */
  #inFlight = 0;
  /** The program that asks next. */
  #turn = 0;

  constructor(kernel: GuestKernel, jobs: readonly Job[]) {
    const places = jobs.reduce((sum, { slots }) => sum + slots.length, 0);
    this.batch = Math.max(1, Math.min(kernel.workload.iodepthBatch ?? 1, places));
    this.#kernel = kernel;
    this.#jobs = jobs;
  }

  /** They have had the answers to everything that they will ever ask for. */
  get finished(): boolean {
    return this.#inFlight === 0 && this.#jobs.every(({ finished }) => finished);
  }
  /** Whether `next` would answer a request. */
  get ready(): boolean {
    return !this.#kernel.frozen && this.#jobs.some(({ ready }) => ready);
  }

  /** The next request of the next program that has one, its data in its buffer; undefined when none has. */
  next(): Slot | undefined {
    const slot = this.#choose();
    if (slot === undefined) return undefined;
    const { memory, trace, nextRequestId } = this.#kernel;
    slot.requestId = nextRequestId();
    slot.sinceNs = trace.modelNs;
    this.#inFlight++;
    if (slot.op === OP.write) {
      const at = memory.require(slot.buffer, slot.bytes);
      fillPattern(
        new DataView(memory.bytes.buffer, memory.bytes.byteOffset + at, slot.bytes),
        slot.offset,
        slot.disk.seed,
      );
    }
    return slot;
  }

  #choose(): Slot | undefined {
    const jobs = this.#jobs;
    if (this.#kernel.frozen) return undefined;
    for (let i = 0; i < jobs.length; i++) {
      const slot = jobs[this.#turn].next();
      this.#turn = (this.#turn + 1) % jobs.length;
      if (slot !== undefined) return slot;
    }
    return undefined;
  }

  /** The program whose request it was has its answer. */
  answer(slot: Slot): void {
    slot.disk.answered(slot, this.#kernel.trace.modelNs);
    this.#inFlight--;
    this.#jobs.find((job) => job.release(slot));
  }
}

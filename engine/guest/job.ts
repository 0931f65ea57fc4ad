/** One program (fio's job) on one virtual CPU: what it will ask for, and `iodepth` places for requests that are under way. */
import { Slot } from './block-request.ts';
import type { GuestDisk } from './disk.ts';
import type { Readahead } from './readahead.ts';
import type { WorkloadGenerator } from './workload.ts';

export class Job {
  readonly generator: WorkloadGenerator;
  readonly slots: readonly Slot[];
  readonly #free: Slot[];

  /** `buffers`: a guest physical address for each unit of `iodepth`; `readahead`: that of its open file, if it goes through the cache. */
  constructor(
    generator: WorkloadGenerator,
    disk: GuestDisk,
    cpu: number,
    buffers: readonly number[],
    readahead?: Readahead,
  ) {
    this.generator = generator;
    this.slots = buffers.map((address) => new Slot(address, disk, cpu, 'program', readahead));
    this.#free = this.slots.toReversed();
  }

  /** Whether `next` would answer a request. */
  get ready(): boolean {
    return this.#free.length > 0 && !this.generator.finished;
  }

  /** The next request, filled in; undefined while all places are taken or when there is nothing more to do. */
  next(): Slot | undefined {
    const slot = this.#free.at(-1);
    if (slot === undefined || !this.generator.next(slot)) return undefined;
    this.#free.pop();
    slot.pending = 0;
    slot.error = 0;
    slot.busy = true;
    return slot;
  }

  /** The program has its answer. False when the slot is another program's. */
  release(slot: Slot): boolean {
    if (!this.slots.includes(slot)) return false;
    slot.busy = false;
    this.#free.push(slot);
    return true;
  }

  get finished(): boolean {
    return this.#free.length === this.slots.length && this.generator.finished;
  }
}

/**
 * Ends a machine that is busy and gets nowhere: a driver that never stops answering an interrupt, a device that never has done its work.
 * Nobody could otherwise tell such a machine from one that works.
 */
import { PlatterError } from '../errors.ts';
import { E } from '../trace/registry.ts';
import type { TraceRing } from '../trace/ring.ts';

/**
 * Steps without the end of any request. The largest request of the guest's block layer takes some ten thousand, on a disk through whose
 * data port every word goes, and a thousand of them may be under way together.
 */
const PATIENCE = 1 << 24;
/** A request of the guest's block layer has ended, or a program has its answer. */
const PROGRESS = [E.block_rq_complete, E.io_getevents] as const;

export class Watchdog {
  readonly #trace: TraceRing;
  readonly #patience: number;
  #left: number;
  #progress = 0;
  #interrupts = 0;

  /** `patience`: for tests. */
  constructor(trace: TraceRing, patience = PATIENCE) {
    this.#trace = trace;
    this.#patience = this.#left = patience;
  }

  /** What went before does not count: something new is begun. */
  restart(): void {
    this.#left = this.#patience;
  }

  /** The machine does one more thing. Throws `lab.no-progress`. */
  step(): void {
    if (--this.#left <= 0) this.#look();
  }

  #look(): void {
    const { counts } = this.#trace;
    const progress = PROGRESS.reduce((sum, event) => sum + counts[event], 0);
    const interrupts = counts[E.irq_handler_entry] - this.#interrupts;
    this.#left = this.#patience;
    this.#interrupts = counts[E.irq_handler_entry];
    if (progress !== this.#progress) {
      this.#progress = progress;
      return;
    }
    throw new PlatterError(
      'lab.no-progress',
      `no request has ended for ${this.#patience} steps of the machine, in which it handled ${interrupts} interrupts; it would go on like that`,
      { value: String(this.#patience), field: String(interrupts) },
    );
  }
}

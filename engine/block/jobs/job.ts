/** What every long piece of work on an image shares: progress, cancelling, and room for other work in between. */
import { setImmediate } from 'node:timers/promises';
import { PlatterError } from '../../errors.ts';

export interface JobOptions {
  /** Aborting it ends the job with `job.cancelled`, nothing half done left behind. */
  signal?: AbortSignal;
  /** Bytes of the guest's disk that are done, and all of them. */
  onProgress?: (done: number, total: number) => void;
}

/** Milliseconds of work between two breaths. */
const BREATH = 20;

export class JobPace {
  readonly #options: JobOptions;
  #last = performance.now();

  constructor(options: JobOptions) {
    this.#options = options;
  }

  /** Reports progress and lets others run now and then; throws `job.cancelled`. */
  async step(done: number, total: number): Promise<void> {
    if (performance.now() - this.#last < BREATH) return;
    this.#options.onProgress?.(done, total);
    await setImmediate();
    this.check();
    this.#last = performance.now();
  }

  check(): void {
    if (this.#options.signal?.aborted === true)
      throw new PlatterError('job.cancelled', 'The job was cancelled');
  }
}

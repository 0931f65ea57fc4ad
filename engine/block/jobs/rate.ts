/** No more than so many bytes a second, on the average: qemu-img's `-r`. */
import { setTimeout } from 'node:timers/promises';
import { PlatterError } from '../../errors.ts';

export class RateLimit {
  readonly #bytesPerSecond: number;
  readonly #signal: AbortSignal | undefined;
  /** When the bytes so far are paid for, milliseconds. */
  #paid = 0;

  /** 0 or undefined: no limit. */
  constructor(bytesPerSecond: number | undefined, signal?: AbortSignal) {
    this.#bytesPerSecond = bytesPerSecond ?? 0;
    this.#signal = signal;
  }

  /** Comes back when `bytes` more may be moved. Throws `job.cancelled` while it waits. */
  async take(bytes: number): Promise<void> {
    if (this.#bytesPerSecond <= 0) return;
    const now = performance.now();
    const wait = this.#paid - now;
    this.#paid = Math.max(now, this.#paid) + (bytes / this.#bytesPerSecond) * 1000;
    if (wait <= 0) return;
    try {
      await setTimeout(wait, undefined, { signal: this.#signal });
    } catch {
      throw new PlatterError('job.cancelled', 'The job was cancelled');
    }
  }
}

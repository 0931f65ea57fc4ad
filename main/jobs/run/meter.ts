/** From bytes done to speed and time left, over the last seconds, so that a slow start does not weigh on the end. */
import type { JobProgress } from '#contract/jobs.ts';

/** Milliseconds that the speed is an average of, and the least of them that say anything. */
const WINDOW = 4000;
const LEAST = 400;

export class Meter {
  readonly #marks: { at: number; done: number }[] = [];

  /** @param now milliseconds of a clock that only goes forward @param done bytes @param total bytes */
  progress(now: number, done: number, total: number): JobProgress {
    this.#marks.push({ at: now, done });
    while (this.#marks.length > 2 && now - this.#marks[1].at >= WINDOW) this.#marks.shift();
    const first = this.#marks[0];
    const span = now - first.at;
    const speed = span < LEAST ? 0 : Math.max(0, ((done - first.done) / span) * 1000);
    const remaining = speed > 0 ? (total - done) / speed : null;
    return { done, total, speed, remaining: done >= total ? 0 : remaining };
  }
}

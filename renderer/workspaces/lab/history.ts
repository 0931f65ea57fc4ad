/** The run's course for the plot: rates sampled four times a second, the last five minutes. */
import type { LabFrame } from '#contract/lab.ts';

const EVERY_MS = 250;
const MOST = 1200;

/** What is plotted; all a second, by the real clock. */
export const SERIES = ['requests', 'exits', 'interrupts'] as const;
export type SeriesName = (typeof SERIES)[number];

export class History {
  /** Seconds since the first frame. */
  seconds: number[] = [];
  readonly values: Record<SeriesName, number[]> = { requests: [], exits: [], interrupts: [] };
  #firstMs: number | null = null;
  #lastMs = 0;
  #last: LabFrame['counters'] | null = null;

  /** Takes a frame that arrived at `nowMs`. Answers whether a point was added. */
  add(frame: LabFrame, nowMs: number): boolean {
    if (this.#firstMs === null || this.#last === null) {
      this.#firstMs = nowMs;
      this.#lastMs = nowMs;
      this.#last = frame.counters;
      return false;
    }
    const elapsed = nowMs - this.#lastMs;
    if (elapsed < EVERY_MS) return false;
    const grown = SERIES.map((name) => frame.counters[name] - (this.#last?.[name] ?? 0));
    // A run at rest draws no line: its time has stood still.
    if (frame.status !== 'running' && grown.every((value) => value === 0)) {
      this.#firstMs += elapsed;
      this.#lastMs = nowMs;
      return false;
    }
    this.seconds.push((nowMs - this.#firstMs) / 1000);
    for (const [i, name] of SERIES.entries()) this.values[name].push((grown[i] / elapsed) * 1000);
    if (this.seconds.length > MOST) {
      this.seconds.shift();
      for (const name of SERIES) this.values[name].shift();
    }
    this.#lastMs = nowMs;
    this.#last = frame.counters;
    return true;
  }

  reset(): void {
    this.seconds = [];
    for (const name of SERIES) this.values[name] = [];
    this.#firstMs = null;
    this.#last = null;
  }
}

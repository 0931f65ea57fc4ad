/** Events a second at each station, from counters that only grow; smoothed so that the figures can be read. */

/** Time constant of the smoothing in milliseconds: a change shows at once and settles within a second. */
const SMOOTHING_MS = 350;

export class Rates {
  readonly #counts: Float64Array;
  readonly #rates: Float64Array;
  #at: number | null = null;

  /** @param stations How many counters there are. */
  constructor(stations: number) {
    this.#counts = new Float64Array(stations);
    this.#rates = new Float64Array(stations);
  }

  /** Events a second; the array stays the same, its numbers change. */
  get values(): Float64Array {
    return this.#rates;
  }

  /** Takes the counters' state at the time `nowMs`. Counters that went back (a new run) start from nothing. */
  update(counts: ArrayLike<number>, nowMs: number): void {
    const elapsed = this.#at === null ? 0 : nowMs - this.#at;
    const weight = elapsed > 0 ? 1 - Math.exp(-elapsed / SMOOTHING_MS) : 0;
    for (let i = 0; i < this.#rates.length; i++) {
      const grown = counts[i] - this.#counts[i];
      if (grown < 0) this.#rates[i] = 0;
      else if (elapsed > 0) {
        const rate = (grown / elapsed) * 1000;
        this.#rates[i] += (rate - this.#rates[i]) * weight;
        if (this.#rates[i] < 0.05) this.#rates[i] = 0;
      }
      this.#counts[i] = counts[i];
    }
    this.#at = nowMs;
  }

  reset(): void {
    this.#counts.fill(0);
    this.#rates.fill(0);
    this.#at = null;
  }
}

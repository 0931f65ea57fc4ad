/** How fast a laboratory runs: so many events a second for who wants to watch, and turns of the event loop that stay short. */
import type { TraceRing } from '../trace/ring.ts';

/** Most steps between two looks at the clock: some twenty microseconds. */
const STEPS_PER_LOOK = 64;
/** How long those steps should take at most, nanoseconds; a step in which the disk decompresses a cluster takes longer alone. */
const LOOK_NS = 200_000;
/** Milliseconds between two turns of a slowed laboratory. */
const DELAY = { least: 1, most: 50 };

/** Events a second. */
export class Pace {
  readonly #trace: TraceRing;
  readonly #clock: () => number;
  #perSecond: number | null = null;
  #from = { ns: 0, events: 0 };

  /** `clock` in nanoseconds. */
  constructor(trace: TraceRing, clock: () => number) {
    this.#trace = trace;
    this.#clock = clock;
  }

  /** Null for as fast as it goes. */
  set(eventsPerSecond: number | null): void {
    this.#perSecond = eventsPerSecond;
    this.restart();
  }

  /** Counts from now on. */
  restart(): void {
    this.#from = { ns: this.#clock(), events: this.#trace.total };
    this.#trace.exactClock = this.#perSecond !== null;
  }

  /** Events that may be recorded until the pace is kept again. */
  allowance(now: number): number {
    if (this.#perSecond === null) return Infinity;
    const since = (now - this.#from.ns) / 1e9;
    return Math.floor(since * this.#perSecond) - (this.#trace.total - this.#from.events);
  }

  /** Milliseconds until the next turn, or null for the next turn of the event loop. */
  get delay(): number | null {
    if (this.#perSecond === null) return null;
    return Math.min(DELAY.most, Math.max(DELAY.least, 1000 / this.#perSecond));
  }
}

/** Steps until the next look at the clock: fewer after expensive ones. */
export class Looks {
  steps = STEPS_PER_LOOK;

  /** Takes what the clock says now and what it said last, nanoseconds; answers the former. */
  look(now: number, last: number): number {
    const expensive = now - last > LOOK_NS;
    this.steps = expensive ? Math.max(1, this.steps >> 2) : Math.min(STEPS_PER_LOOK, this.steps * 2);
    return now;
  }
}

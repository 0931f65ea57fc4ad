/**
 * The recorder: a ring of fixed-width rows in one typed array. Every event has an absolute number that never changes; the ring
 * holds the newest `capacity` of them. Recording allocates nothing and reads the real clock once in `CLOCK_EVERY` events
 * (a reading costs as much as ten events), or at every event while `exactClock` is set, as it is when a person steps.
 */
import { EVENT_LIMIT } from './registry.ts';
import { ROW_ARGS, ROW_WORDS } from './row.ts';

const CLOCK_EVERY = 64;
/** Places in `#now`. */
const REAL = 0;
const MODEL = 1;
export interface TraceRingOptions {
  /** Rows to hold; rounded up to a power of two, 2^10 to 2^22. */
  capacity?: number;
  /** The real clock, nanoseconds from any fixed point. Without one the real times are all zero. */
  clock?: () => number;
}

export class TraceRing {
  readonly capacity: number;
  /** False: nothing is recorded nor counted, and the model clock stands still. */
  enabled = true;
  /** Events so far; also the number that the next one gets. */
  total = 0;
  /** Model cost by event number, nanoseconds. */
  readonly costs = new Float64Array(EVENT_LIMIT);
  /** Events so far, by event number. */
  readonly counts = new Float64Array(EVENT_LIMIT);
  readonly #words: Uint32Array;
  readonly #times: Float64Array;
  readonly #mask: number;
  readonly #clock: (() => number) | undefined;
  /** Both clocks side by side: a field of its own would be an object on the heap for each. */
  readonly #now = new Float64Array(2);
  #origin = 0;
  /** The real clock is read at events whose number has none of these bits. */
  #clockMask = CLOCK_EVERY - 1;

  constructor(options: TraceRingOptions = {}) {
    const wanted = Math.min(Math.max(options.capacity ?? 1 << 16, 1 << 10), 1 << 22);
    this.capacity = 1 << Math.ceil(Math.log2(wanted));
    this.#mask = this.capacity - 1;
    this.#words = new Uint32Array(this.capacity * ROW_WORDS);
    this.#times = new Float64Array(this.#words.buffer);
    this.#clock = options.clock;
    this.restart();
  }

  /** The oldest event that the ring still holds. */
  get first(): number {
    return Math.max(0, this.total - this.capacity);
  }

  /** Forgets everything and sets both clocks to zero. */
  restart(): void {
    this.total = 0;
    this.#now.fill(0);
    this.counts.fill(0);
    this.#origin = this.#clock?.() ?? 0;
  }

  /** Read the real clock at every event, or now and then. */
  get exactClock(): boolean {
    return this.#clockMask === 0;
  }
  set exactClock(exact: boolean) {
    this.#clockMask = exact ? 0 : CLOCK_EVERY - 1;
    this.readClock();
  }

  /** The model clock of whoever runs now, nanoseconds. Recording an event adds its cost before it is stamped. */
  get modelNs(): number {
    return this.#now[MODEL];
  }
  set modelNs(ns: number) {
    this.#now[MODEL] = ns;
  }

  /** The last reading of the real clock, nanoseconds since `restart`. */
  get realNs(): number {
    return this.#now[REAL];
  }

  /** Takes a new reading of the real clock. */
  readClock(): void {
    if (this.#clock !== undefined) this.#now[REAL] = this.#clock() - this.#origin;
  }

  /** Records one event of request `requestId` (0 for none) with up to four argument words. */
  emit(event: number, requestId: number, a: number, b: number, c: number, d: number): void {
    if (this.enabled) this.#record(event, requestId, a, b, c, d);
  }

  /** Apart from `emit`, so that the compiler can put the test for `enabled` everywhere and this once. */
  #record(event: number, requestId: number, a: number, b: number, c: number, d: number): void {
    const number = this.total++;
    if ((number & this.#clockMask) === 0) this.readClock();
    const now = this.#now;
    now[MODEL] += this.costs[event];
    this.counts[event]++;
    const row = number & this.#mask;
    const words = this.#words;
    const at = row * ROW_WORDS;
    words[at] = event;
    words[at + 1] = requestId;
    const times = this.#times;
    const timeAt = row * (ROW_WORDS / 2) + 1;
    times[timeAt] = now[REAL];
    times[timeAt + 1] = now[MODEL];
    words[at + ROW_ARGS] = a;
    words[at + ROW_ARGS + 1] = b;
    words[at + ROW_ARGS + 2] = c;
    words[at + ROW_ARGS + 3] = d;
  }

  /** Appends a row that was made elsewhere (a loaded trace), times included. */
  append(row: Uint32Array): void {
    const at = (this.total++ & this.#mask) * ROW_WORDS;
    this.#words.set(row.subarray(0, ROW_WORDS), at);
    this.counts[Math.min(row[0], EVENT_LIMIT - 1)]++;
  }

  /** Event number and request id of the absolute event `number`, which must still be held. */
  eventAt(number: number): number {
    return this.#words[(number & this.#mask) * ROW_WORDS];
  }
  requestAt(number: number): number {
    return this.#words[(number & this.#mask) * ROW_WORDS + 1];
  }

  /** Copies the rows with these absolute numbers, `ROW_WORDS` words each; all must still be held. */
  copy(numbers: ArrayLike<number>): Uint32Array {
    const rows = new Uint32Array(numbers.length * ROW_WORDS);
    for (let i = 0; i < numbers.length; i++) {
      const at = (numbers[i] & this.#mask) * ROW_WORDS;
      rows.set(this.#words.subarray(at, at + ROW_WORDS), i * ROW_WORDS);
    }
    return rows;
  }
}

/** The upper word of a 64-bit argument held as a number; the lower one is `value >>> 0`. */
export function highWord(value: number): number {
  return (value / 0x1_0000_0000) >>> 0;
}

/**
 * The recorder: a ring of fixed-width cells in typed arrays. Every event has an absolute number that never changes; the ring holds the
 * newest `capacity` of them. Recording allocates nothing and reads the real clock once in `GROUP` events (a reading costs as much as
 * ten events), or at every event while `exactClock` is set, as it is when a person steps.
 *
 * In here an event is `CELL_WORDS` words, half a cache line: number, request id, model time (one double), arguments a–d. The real time
 * is the same for a whole group of events and is therefore kept beside them. `copy` makes the rows of row.ts out of both.
 */
import { EVENT_LIMIT } from './registry.ts';
import { ROW_ARGS, ROW_WORDS } from './row.ts';

/** Events that share one reading of the real clock. */
const GROUP = 64;
const CELL_WORDS = 8;
const CELL_ARGS = 4;
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
  /** The same cells by doubles, for the model time. */
  readonly #doubles: Float64Array;
  readonly #real: Float64Array;
  readonly #mask: number;
  readonly #clock: (() => number) | undefined;
  /** Both clocks side by side: a field of its own would be an object on the heap for each. */
  readonly #now = new Float64Array(2);
  #origin = 0;
  /** The real clock is read at events whose number has none of these bits. */
  #clockMask = GROUP - 1;

  constructor(options: TraceRingOptions = {}) {
    const wanted = Math.min(Math.max(options.capacity ?? 1 << 16, 1 << 10), 1 << 22);
    this.capacity = 1 << Math.ceil(Math.log2(wanted));
    this.#mask = this.capacity - 1;
    this.#words = new Uint32Array(this.capacity * CELL_WORDS);
    this.#doubles = new Float64Array(this.#words.buffer);
    this.#real = new Float64Array(this.capacity);
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
    this.#clockMask = exact ? 0 : GROUP - 1;
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

  /** Takes a new reading of the real clock, for the next event and the rest of its group. */
  readClock(): void {
    if (this.#clock !== undefined) this.#now[REAL] = this.#clock() - this.#origin;
    const row = this.total & this.#mask;
    this.#real.fill(this.#now[REAL], row, (row | this.#clockMask) + 1);
  }

  /** Records one event of request `requestId` (0 for none) with up to four argument words. */
  emit(event: number, requestId: number, a: number, b: number, c: number, d: number): void {
    if (this.enabled) this.#record(event, requestId, a, b, c, d);
  }

  /** Apart from `emit`, so that the compiler can put the test for `enabled` everywhere and this once. */
  #record(event: number, requestId: number, a: number, b: number, c: number, d: number): void {
    const number = this.total;
    if ((number & this.#clockMask) === 0) this.readClock();
    this.total = number + 1;
    const now = this.#now;
    now[MODEL] = this.put((number & this.#mask) * CELL_WORDS, now[MODEL], event, requestId, a, b, c, d);
  }

  /**
   * For a hot path that records several events at once: numbers for `count` events in a row. Answers where to `put` the first of them,
   * each next one `CELL` further on; all must be put, in order, before anything else is recorded:
   *
   *     const at = trace.reserve(2);
   *     let now = trace.modelNs;
   *     now = trace.put(at, now, …);
   *     trace.modelNs = trace.put(at + CELL, now, …);
   *
   * -1 when the trace is off, or when the events would not share one reading of the clock: then `emit` each.
   */
  reserve(count: number): number {
    const number = this.total;
    const within = number & this.#clockMask;
    if (!this.enabled || within === 0 || within + count > GROUP) return -1;
    this.total = number + count;
    return (number & this.#mask) * CELL_WORDS;
  }

  /**
   * Writes one event at a place that `reserve` gave, by a model clock that stands at `before`; answers where it stands after. Small, so
   * that the compiler puts it where it is called, and with the clock as a value, so that nobody waits for it to go through memory.
   */
  put(
    at: number,
    before: number,
    event: number,
    requestId: number,
    a: number,
    b: number,
    c: number,
    d: number,
  ): number {
    const words = this.#words;
    const now = before + this.costs[event];
    this.#doubles[(at >>> 1) + 1] = now;
    this.counts[event]++;
    words[at] = event;
    words[at + 1] = requestId;
    words[at + CELL_ARGS] = a;
    words[at + CELL_ARGS + 1] = b;
    words[at + CELL_ARGS + 2] = c;
    words[at + CELL_ARGS + 3] = d;
    return now;
  }

  /** Appends a row that was made elsewhere (a loaded trace), times included. */
  append(row: Uint32Array): void {
    const at = this.total++ & this.#mask;
    const times = new Float64Array(row.slice(2, ROW_ARGS).buffer);
    const cell = at * CELL_WORDS;
    this.#words.set(row.subarray(0, 2), cell);
    this.#words.set(row.subarray(ROW_ARGS, ROW_WORDS), cell + CELL_ARGS);
    this.#real[at] = times[0];
    this.#doubles[(cell >>> 1) + 1] = times[1];
    this.counts[Math.min(row[0], EVENT_LIMIT - 1)]++;
  }

  /** Event number and request id of the absolute event `number`, which must still be held. */
  eventAt(number: number): number {
    return this.#words[(number & this.#mask) * CELL_WORDS];
  }
  requestAt(number: number): number {
    return this.#words[(number & this.#mask) * CELL_WORDS + 1];
  }

  /** Copies the rows with these absolute numbers, `ROW_WORDS` words each; all must still be held. */
  copy(numbers: ArrayLike<number>): Uint32Array {
    const rows = new Uint32Array(numbers.length * ROW_WORDS);
    const times = new Float64Array(rows.buffer);
    for (let i = 0; i < numbers.length; i++) {
      const at = numbers[i] & this.#mask;
      const cell = at * CELL_WORDS;
      const row = i * ROW_WORDS;
      rows[row] = this.#words[cell];
      rows[row + 1] = this.#words[cell + 1];
      times[(row >>> 1) + 1] = this.#real[at];
      times[(row >>> 1) + 2] = this.#doubles[(cell >>> 1) + 1];
      for (let arg = 0; arg < ROW_WORDS - ROW_ARGS; arg++) {
        rows[row + ROW_ARGS + arg] = this.#words[cell + CELL_ARGS + arg];
      }
    }
    return rows;
  }
}

/** How far apart `put` wants two events that `reserve` gave room for. */
export const CELL = CELL_WORDS;

/** The upper word of a 64-bit argument held as a number; the lower one is `value >>> 0`. */
export function highWord(value: number): number {
  return (value / 0x1_0000_0000) >>> 0;
}

/**
 * The recorder: a ring of fixed-width cells in typed arrays. Every event has an absolute number that never changes; the ring holds the
 * newest `capacity` of them. Recording allocates nothing and reads the real clock once in `GROUP` events (a reading costs as much as
 * ten events), or at every event while `exactClock` is set, as it is when a person steps.
 *
 * In here an event is `CELL_WORDS` words, half a cache line: number, request id, model time (one double), arguments a–d. The real time
 * is the same for a whole group of events and is therefore kept beside them. `copy` makes the rows of row.ts out of both.
 *
 * A burst (burst.ts) fills the cell of its first event alone: there its number, the model time before it, and its four words. What the
 * other cells hold is void; `#place` says so.
 */
import { BURSTS, type Burst } from './burst.ts';
import { EVENT_LIMIT } from './registry.ts';
import { ROW_ARGS, ROW_WORDS } from './row.ts';

/** Events that share one reading of the real clock. */
const GROUP = 128;
const CELL_WORDS = 8;
const CELL_ARGS = 4;
/** In `#place`. */
const EXACT = 255;
const PLACES_1_TO_4 = 0x0403_0201;
const PLACES_5_TO_8 = 0x0807_0605;
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
  /** Model cost by event number, nanoseconds. To be changed only before the first event, and then before `restart`: bursts are worked out with it. */
  readonly costs = new Float64Array(EVENT_LIMIT);
  readonly #counts = new Float64Array(EVENT_LIMIT);
  /** Bursts by number that are not in `#counts` yet. */
  readonly #burstCounts = new Float64Array(BURSTS.length);
  /** Model cost by burst, worked out when the first group begins. */
  readonly #burstCosts = new Float64Array(BURSTS.length);
  #costsSummed = false;
  readonly #words: Uint32Array;
  /** The same cells by doubles, for the model time. */
  readonly #doubles: Float64Array;
  /** Real time of each group of events, and of each event that was read exactly. */
  readonly #groupReal: Float64Array;
  readonly #exactReal: Float64Array;
  /** 0 for an event of its own, `EXACT` for one with a real time of its own, else its place in a burst, counted from 1. */
  readonly #place: Uint8Array;
  /** The same places by words. */
  readonly #places: DataView;
  /** The arguments of one event of a burst. */
  readonly #args = new Uint32Array(ROW_WORDS - ROW_ARGS);
  readonly #mask: number;
  readonly #clock: (() => number) | undefined;
  /** Both clocks side by side: a field of its own would be an object on the heap for each. */
  readonly #now = new Float64Array(2);
  #origin = 0;
  /** The real clock is read at events whose number has none of these bits. */
  #clockMask = GROUP - 1;
  /** The clock is exact up to the end of the group. */
  #endsExact = false;

  constructor(options: TraceRingOptions = {}) {
    const wanted = Math.min(Math.max(options.capacity ?? 1 << 16, 1 << 10), 1 << 22);
    this.capacity = 1 << Math.ceil(Math.log2(wanted));
    this.#mask = this.capacity - 1;
    this.#words = new Uint32Array(this.capacity * CELL_WORDS);
    this.#doubles = new Float64Array(this.#words.buffer);
    this.#groupReal = new Float64Array(this.capacity / GROUP);
    this.#exactReal = new Float64Array(this.capacity);
    this.#place = new Uint8Array(this.capacity);
    this.#places = new DataView(this.#place.buffer);
    this.#clock = options.clock;
    this.restart();
  }

  /** The oldest event that the ring still holds; of a burst all or nothing. */
  get first(): number {
    let first = Math.max(0, this.total - this.capacity);
    if (first > 0) while (first < this.total && isFollower(this.#place[first & this.#mask])) first++;
    return first;
  }

  /** Events so far, by event number. */
  get counts(): Float64Array {
    for (const { id, events } of BURSTS) {
      const times = this.#burstCounts[id];
      if (times === 0) continue;
      for (const event of events) this.#counts[event] += times;
      this.#burstCounts[id] = 0;
    }
    return this.#counts;
  }

  /** Forgets everything and sets both clocks to zero. */
  restart(): void {
    this.total = 0;
    this.#costsSummed = false;
    this.#now.fill(0);
    this.#counts.fill(0);
    this.#burstCounts.fill(0);
    this.#origin = this.#clock?.() ?? 0;
  }

  /** Read the real clock at every event, or now and then (from the next group of events on). */
  get exactClock(): boolean {
    return this.#clockMask === 0 && !this.#endsExact;
  }
  set exactClock(exact: boolean) {
    this.#endsExact = !exact && this.#clockMask === 0;
    if (exact) this.#clockMask = 0;
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
    const number = this.total;
    const row = number & this.#mask;
    this.#place[row] = 0;
    if ((number & this.#clockMask) === 0) this.#tick(number);
    this.total = number + 1;
    const now = this.#now[MODEL] + this.costs[event];
    this.#now[MODEL] = now;
    this.#counts[event]++;
    this.#write(row * CELL_WORDS, event, requestId, now, a, b, c, d);
  }

  /** Records the events of a burst of request `requestId`, with the four words that it is made of. */
  emitBurst(burst: Burst, requestId: number, a: number, b: number, c: number, d: number): void {
    if (!this.enabled) return;
    const { count } = burst;
    const number = this.total;
    if (this.#clockMask === 0) {
      this.emitEach(burst, requestId, a, b, c, d);
      return;
    }
    const within = number & (GROUP - 1);
    if (within === 0 || within + count > GROUP) this.#beginGroup((number + count - 1) & ~(GROUP - 1));
    this.total = number + count;
    this.#burstCounts[burst.id]++;
    const before = this.#now[MODEL];
    this.#now[MODEL] = before + this.#burstCosts[burst.id];
    const mask = this.#mask;
    const row = number & mask;
    const place = this.#place;
    // The usual burst is one of eight that does not wrap: its places are two words, wherever they lie.
    if (count === 8 && row + 8 <= mask) {
      this.#places.setUint32(row, PLACES_1_TO_4, true);
      this.#places.setUint32(row + 4, PLACES_5_TO_8, true);
    } else {
      for (let i = 0; i < count; i++) place[(row + i) & mask] = i + 1;
    }
    this.#write(row * CELL_WORDS, burst.id, requestId, before, a, b, c, d);
  }

  #write(
    at: number,
    event: number,
    requestId: number,
    now: number,
    a: number,
    b: number,
    c: number,
    d: number,
  ): void {
    const words = this.#words;
    this.#doubles[(at >>> 1) + 1] = now;
    words[at] = event;
    words[at + 1] = requestId;
    words[at + CELL_ARGS] = a;
    words[at + CELL_ARGS + 1] = b;
    words[at + CELL_ARGS + 2] = c;
    words[at + CELL_ARGS + 3] = d;
  }

  /** Records the events of a burst one by one: each has its own reading of the clock. */
  protected emitEach(burst: Burst, requestId: number, a: number, b: number, c: number, d: number): void {
    const args = this.#args;
    for (let place = 0; place < burst.events.length; place++) {
      burst.args(place, a, b, c, d, args);
      this.emit(burst.events[place], requestId, args[0], args[1], args[2], args[3]);
    }
  }

  /** Event `number` is to have a reading of the clock: for itself, or for the group that begins with it. */
  #tick(number: number): void {
    if (this.#endsExact && (number & (GROUP - 1)) === 0) {
      this.#endsExact = false;
      this.#clockMask = GROUP - 1;
    }
    if (this.#clockMask !== 0) {
      this.#beginGroup(number);
      return;
    }
    this.readClock();
    const row = number & this.#mask;
    this.#place[row] = EXACT;
    this.#exactReal[row] = this.#now[REAL];
  }

  /** The group of events that begins with this number gets a reading of the clock; a burst may have begun before it. */
  #beginGroup(number: number): void {
    this.readClock();
    this.#groupReal[(number & this.#mask) / GROUP] = this.#now[REAL];
    if (!this.#costsSummed) this.#sumCosts();
  }

  #sumCosts(): void {
    for (const { id, events } of BURSTS) {
      this.#burstCosts[id] = events.reduce((sum, event) => sum + this.costs[event], 0);
    }
    this.#costsSummed = true;
  }

  /** Appends a row that was made elsewhere (a loaded trace), times included. */
  append(row: Uint32Array): void {
    const at = this.total++ & this.#mask;
    const times = new Float64Array(row.slice(2, ROW_ARGS).buffer);
    const cell = at * CELL_WORDS;
    this.#words.set(row.subarray(0, 2), cell);
    this.#words.set(row.subarray(ROW_ARGS, ROW_WORDS), cell + CELL_ARGS);
    this.#exactReal[at] = times[0];
    this.#place[at] = EXACT;
    this.#doubles[(cell >>> 1) + 1] = times[1];
    this.#counts[Math.min(row[0], EVENT_LIMIT - 1)]++;
  }

  /** Event number and request id of the absolute event `number`, which must still be held. */
  eventAt(number: number): number {
    const place = this.#place[number & this.#mask];
    const event = this.#words[this.#cellOf(number, place)];
    return inBurst(place) ? BURSTS[event].events[place - 1] : event;
  }
  requestAt(number: number): number {
    return this.#words[this.#cellOf(number, this.#place[number & this.#mask]) + 1];
  }

  /** Where the cell of an event lies, or that of the burst in which it has this place. */
  #cellOf(number: number, place: number): number {
    return ((inBurst(place) ? number - place + 1 : number) & this.#mask) * CELL_WORDS;
  }

  /** Copies the rows with these absolute numbers, `ROW_WORDS` words each; all must still be held. */
  copy(numbers: ArrayLike<number>): Uint32Array {
    const rows = new Uint32Array(numbers.length * ROW_WORDS);
    const times = new Float64Array(rows.buffer);
    const words = this.#words;
    for (let i = 0; i < numbers.length; i++) {
      const at = numbers[i] & this.#mask;
      const place = this.#place[at];
      const cell = this.#cellOf(numbers[i], place);
      const row = i * ROW_WORDS;
      let event = words[cell];
      let now = this.#doubles[(cell >>> 1) + 1];
      let args = words.subarray(cell + CELL_ARGS, cell + CELL_WORDS);
      if (inBurst(place)) {
        const burst = BURSTS[event];
        const { events } = burst;
        for (let k = 0; k < place; k++) now += this.costs[events[k]];
        burst.args(place - 1, args[0], args[1], args[2], args[3], this.#args);
        event = events[place - 1];
        args = this.#args;
      }
      rows[row] = event;
      rows[row + 1] = words[cell + 1];
      times[(row >>> 1) + 1] =
        place === EXACT ? this.#exactReal[at] : this.#groupReal[Math.floor(at / GROUP)];
      times[(row >>> 1) + 2] = now;
      rows.set(args, row + ROW_ARGS);
    }
    return rows;
  }
}

const inBurst = (place: number): boolean => place > 0 && place < EXACT;
const isFollower = (place: number): boolean => place > 1 && place < EXACT;

/** The upper word of a 64-bit argument held as a number; the lower one is `value >>> 0`. */
export function highWord(value: number): number {
  return (value / 0x1_0000_0000) >>> 0;
}

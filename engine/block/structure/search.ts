/** Finds bytes on the guest's disk or in the file, a step at a time, so that whoever asks can show how far it is and stop. */
import { PlatterError } from '../../errors.ts';
import { run, wait, type Maybe, type Steps } from '../../maybe.ts';
import type { SearchStep } from '../../../contract/structure.ts';
import type { FormatNode } from '../access.ts';
import { extentAt } from '../map.ts';

export interface SearchOptions {
  space: 'guest' | 'host';
  /** What to look for, 1 to 1024 bytes. */
  pattern: Uint8Array;
  /** The first place tried: a match begins here or after it (forward), here or before it (backward). */
  from: number;
  backward: boolean;
  /** Milliseconds after which the step ends. Default 100. */
  time?: number;
}

export const MOST_PATTERN = 1024;
const WINDOW = 1 << 20;

/** One step. Stretches that read as zeroes are passed over without reading, unless zeroes are looked for. */
export function searchStep(image: FormatNode, options: SearchOptions): Maybe<SearchStep> {
  const { length } = options.pattern;
  if (length === 0 || length > MOST_PATTERN) {
    throw new PlatterError('search.bad-pattern', `The pattern has ${length} bytes`, {
      value: String(length),
      expected: `1 to ${MOST_PATTERN} bytes`,
    });
  }
  return run(step(new Space(image, options), options));
}

class Space {
  readonly #image: FormatNode;
  readonly #guest: boolean;
  readonly pattern: Buffer;
  readonly zeroes: boolean;

  constructor(image: FormatNode, options: SearchOptions) {
    this.#image = image;
    this.#guest = options.space === 'guest';
    this.pattern = Buffer.from(options.pattern);
    this.zeroes = options.pattern.every((byte) => byte === 0);
  }

  size(): Maybe<number> {
    return this.#guest ? this.#image.virtualSize : this.#image.format.storage.size();
  }

  read(offset: number, target: Uint8Array): Maybe<void> {
    return this.#guest ? this.#image.read(offset, target) : this.#image.format.storage.read(offset, target);
  }

  /** How many bytes from `offset` on read as zeroes for certain, at most `length`. */
  *empty(offset: number, length: number): Steps<number> {
    if (this.#guest) {
      const extent = yield* extentAt(this.#image, offset, length);
      return extent.zero && !extent.data ? extent.length : 0;
    }
    const extent = yield* wait(this.#image.format.storage.extentAt(offset, length));
    return extent.kind === 'hole' ? extent.length : 0;
  }
}

function* step(space: Space, options: SearchOptions): Steps<SearchStep> {
  const size = yield* wait(space.size());
  const last = size - space.pattern.length;
  const until = performance.now() + (options.time ?? 100);
  const buffer = Buffer.alloc(WINDOW + space.pattern.length - 1);
  if (last < 0) return { found: null, next: null };
  let at = options.backward ? Math.min(options.from, last) : options.from;
  while (at >= 0 && at <= last) {
    const next = options.backward
      ? yield* before(space, buffer, at)
      : yield* after(space, buffer, at, last, size);
    if (next.found !== null || next.next === null) return next;
    at = next.next;
    if (performance.now() >= until) return at >= 0 && at <= last ? next : { found: null, next: null };
  }
  return { found: null, next: null };
}

/** Places `at` and after, one window. */
function* after(space: Space, buffer: Buffer, at: number, last: number, size: number): Steps<SearchStep> {
  const { length } = space.pattern;
  if (!space.zeroes) {
    const empty = yield* space.empty(at, size - at);
    // A match may begin among the zeroes and reach over their end.
    if (empty >= length) return { found: null, next: at + empty - length + 1 };
  }
  const places = Math.min(WINDOW, last - at + 1);
  const window = buffer.subarray(0, places + length - 1);
  yield* wait(space.read(at, window));
  const index = window.indexOf(space.pattern);
  return { found: index < 0 ? null : at + index, next: index < 0 ? at + places : null };
}

/** Places `at` and before, one window. */
function* before(space: Space, buffer: Buffer, at: number): Steps<SearchStep> {
  const { length } = space.pattern;
  const first = Math.max(0, at - WINDOW + 1);
  const places = at - first + 1;
  if (!space.zeroes && (yield* space.empty(first, places + length - 1)) === places + length - 1) {
    return { found: null, next: first === 0 ? null : first - 1 };
  }
  const window = buffer.subarray(0, places + length - 1);
  yield* wait(space.read(first, window));
  const index = window.lastIndexOf(space.pattern);
  if (index >= 0) return { found: first + index, next: null };
  return { found: null, next: first === 0 ? null : first - 1 };
}

/**
 * Finite state entropy coding as LZFSE has it (J. Duda, "Asymmetric numeral systems", arXiv:1311.2540). Each state emits one symbol and
 * says how many bits, taken from the end of the stream towards its start, lead to which next state.
 */

/** Bits of `bytes`, read from the last to the first. */
export class BackwardBits {
  readonly #bytes: Uint8Array;
  /** Bits before the next one to be read. */
  #left: number;

  /** `spare`: bits at the very end that belong to nothing, 0 to 7. */
  constructor(bytes: Uint8Array, spare: number) {
    this.#bytes = bytes;
    this.#left = bytes.length * 8 - spare;
  }

  /** The next `count` bits (at most 24), the last of the stream as the highest. Throws when there are no more. */
  take(count: number): number {
    this.#left -= count;
    if (this.#left < 0) throw new Error('an LZFSE block has too few bits');
    const at = this.#left >>> 3;
    const bytes = this.#bytes;
    // What lies behind the end counts as zero, and is masked away.
    const word = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    return (word >>> (this.#left & 7)) & ((1 << count) - 1);
  }
}

/** What a symbol stands for: `base` and as many further bits of the stream. */
export interface Symbols {
  base: readonly number[];
  extra: readonly number[];
}

/** A decoder for one kind of symbol. */
export class FseTable {
  readonly #states: number;
  /** By state: bits to take (0xff: no symbol has this state), what is added to them, and the symbol. */
  readonly #bits: Uint8Array;
  readonly #delta: Int16Array;
  readonly #symbol: Uint8Array;
  readonly #meaning: Symbols | undefined;

  /**
   * `states`: a power of two; `frequencies`: how many of them each symbol has, in order. Without `meaning` a symbol stands for its
   * number. Throws when there are more than `states`.
   */
  constructor(states: number, frequencies: ArrayLike<number>, meaning?: Symbols) {
    this.#states = states;
    this.#bits = new Uint8Array(states).fill(0xff);
    this.#delta = new Int16Array(states);
    this.#symbol = new Uint8Array(states);
    this.#meaning = meaning;
    let first = 0;
    for (let symbol = 0; symbol < frequencies.length; symbol++) {
      const frequency = frequencies[symbol];
      if (first + frequency > states) throw new Error('an LZFSE table has too many states');
      if (frequency > 0) this.#fill(symbol, first, frequency);
      first += frequency;
    }
  }

  /** The state that a header states. Throws unless the table has it. */
  start(state: number): number {
    if (state >= this.#states) throw new Error(`an LZFSE state ${state} of ${this.#states}`);
    return state;
  }

  /** The state after `state`, whose value was taken before with `value`. */
  next(state: number, bits: BackwardBits): number {
    return this.#delta[state] + bits.take(this.#bits[state]);
  }

  /** The symbol of `state`. Throws when no symbol has it. */
  symbol(state: number): number {
    if (this.#bits[state] === 0xff) throw new Error(`an LZFSE state ${state} that no symbol has`);
    return this.#symbol[state];
  }

  /** What a symbol stands for; its further bits lie behind those of the next state. */
  value(symbol: number, bits: BackwardBits): number {
    const meaning = this.#meaning;
    return meaning === undefined ? symbol : meaning.base[symbol] + bits.take(meaning.extra[symbol]);
  }

  /** The `frequency` states of a symbol: the lower ones take one bit more than the upper ones, so that all lead to each state once. */
  #fill(symbol: number, first: number, frequency: number): void {
    const states = this.#states;
    const most = Math.clz32(frequency) - Math.clz32(states);
    const lower = ((2 * states) >> most) - frequency;
    for (let i = 0; i < frequency; i++) {
      const state = first + i;
      this.#symbol[state] = symbol;
      this.#bits[state] = i < lower ? most : most - 1;
      this.#delta[state] = i < lower ? ((frequency + i) << most) - states : (i - lower) << (most - 1);
    }
  }
}

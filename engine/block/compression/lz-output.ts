/** What a Lempel-Ziv decoder writes into: exactly as many bytes as were promised, and matches that lie within what is there. */

export class LzOutput {
  readonly bytes: Uint8Array;
  #at = 0;

  /** `size`: bytes that have to come out. */
  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#at;
  }

  /** Copies `count` bytes of `source` from `from` on. Throws when `source` or the room ends before. */
  literals(source: Uint8Array, from: number, count: number): void {
    if (from + count > source.length) throw new Error('the literals are cut short');
    this.#need(count);
    this.bytes.set(source.subarray(from, from + count), this.#at);
    this.#at += count;
  }

  /** Repeats `count` bytes from `distance` bytes back; the two may overlap. Throws when that lies before the first byte. */
  match(distance: number, count: number): void {
    if (count === 0) return;
    if (distance < 1 || distance > this.#at)
      throw new Error(`a match ${distance} bytes back, at ${this.#at}`);
    this.#need(count);
    const { bytes } = this;
    const start = this.#at - distance;
    if (distance >= count) bytes.copyWithin(this.#at, start, start + count);
    else for (let i = 0; i < count; i++) bytes[this.#at + i] = bytes[start + i];
    this.#at += count;
  }

  /** All of it. Throws when less came out than was promised. */
  finish(): Uint8Array {
    if (this.#at !== this.bytes.length) {
      throw new Error(`${this.#at} bytes came out instead of ${this.bytes.length}`);
    }
    return this.bytes;
  }

  #need(count: number): void {
    if (count > this.bytes.length - this.#at)
      throw new Error(`more than ${this.bytes.length} bytes came out`);
  }
}

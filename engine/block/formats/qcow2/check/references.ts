/** How often each cluster of the file is pointed to: pages of 16-bit counts, made where something points. */

const PAGE = 1 << 16;
/** Counts stop here; no honest image comes near. */
export const SATURATED = 0xffff;

/** What the copied flags of the active tables say of a cluster: that it is theirs alone, that it is not. */
const OWN = 1;
const SHARED = 2;

interface Page {
  counts: Uint16Array;
  flags: Uint8Array;
}

export class ReferenceCounts {
  readonly #pages = new Map<number, Page>();
  #lastIndex = -1;
  #lastPage: Page | undefined;

  add(cluster: number): void {
    const index = Math.floor(cluster / PAGE);
    const { counts } = this.#page(index);
    // A remainder of floating-point numbers would take ten times as long.
    const at = cluster - index * PAGE;
    if (counts[at] < SATURATED) counts[at]++;
  }

  /** A reference of the active tables, with its copied flag. */
  addActive(cluster: number, copied: boolean): void {
    const index = Math.floor(cluster / PAGE);
    const { counts, flags } = this.#page(index);
    const at = cluster - index * PAGE;
    if (counts[at] < SATURATED) counts[at]++;
    flags[at] |= copied ? OWN : SHARED;
  }

  /** The same for `length` clusters one behind the other. */
  addActiveRun(cluster: number, length: number, copied: boolean): void {
    for (let done = 0; done < length;) {
      const index = Math.floor((cluster + done) / PAGE);
      const from = cluster + done - index * PAGE;
      const to = Math.min(PAGE, from + length - done);
      const { counts, flags } = this.#page(index);
      countRun(counts, flags, from, to, copied ? OWN : SHARED);
      done += to - from;
    }
  }

  /** The counts of a stretch that begins with `cluster`, at most `length` long, as they lie in memory; none where nothing points. */
  stretch(cluster: number, length: number): { length: number; counts: Uint16Array | undefined } {
    const index = Math.floor(cluster / PAGE);
    const from = cluster - index * PAGE;
    const to = Math.min(PAGE, from + length);
    return { length: to - from, counts: this.#pages.get(index)?.counts.subarray(from, to) };
  }

  /** Whether a copied flag that was seen is set where the count is not one, or the other way round. */
  flagsDisagree(): boolean {
    return [...this.#pages.values()].some(disagrees);
  }

  /** Where references were found: first cluster of each page, and clusters per page. */
  *pages(): Generator<[start: number, count: number]> {
    for (const index of this.#pages.keys()) yield [index * PAGE, PAGE];
  }

  get(cluster: number): number {
    const index = Math.floor(cluster / PAGE);
    if (index !== this.#lastIndex) {
      this.#lastIndex = index;
      this.#lastPage = this.#pages.get(index);
    }
    return this.#lastPage === undefined ? 0 : this.#lastPage.counts[cluster - index * PAGE];
  }

  #page(index: number): Page {
    if (index === this.#lastIndex && this.#lastPage !== undefined) return this.#lastPage;
    let page = this.#pages.get(index);
    if (page === undefined) {
      page = { counts: new Uint16Array(PAGE), flags: new Uint8Array(PAGE) };
      this.#pages.set(index, page);
    }
    this.#lastIndex = index;
    this.#lastPage = page;
    return page;
  }
}

// Loops of their own are compiled while a large table is still being walked through.

function countRun(counts: Uint16Array, flags: Uint8Array, from: number, to: number, flag: number): void {
  for (let at = from; at < to; at++) {
    if (counts[at] < SATURATED) counts[at]++;
    flags[at] |= flag;
  }
}

function disagrees({ counts, flags }: Page): boolean {
  for (let at = 0; at < PAGE; at++) {
    if (flags[at] !== 0 && flags[at] !== (counts[at] === 1 ? OWN : SHARED)) return true;
  }
  return false;
}

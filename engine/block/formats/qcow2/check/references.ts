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

  /** Whether a copied flag that was seen is set where the count is not one, or the other way round. */
  flagsDisagree(): boolean {
    for (const { counts, flags } of this.#pages.values()) {
      for (let at = 0; at < PAGE; at++) {
        if (flags[at] !== 0 && flags[at] !== (counts[at] === 1 ? OWN : SHARED)) return true;
      }
    }
    return false;
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

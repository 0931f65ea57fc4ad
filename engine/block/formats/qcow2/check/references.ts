/** How often each cluster of the file is pointed to: pages of 16-bit counts, made where something points. */

const PAGE = 1 << 16;
/** Counts stop here; no honest image comes near. */
export const SATURATED = 0xffff;

export class ReferenceCounts {
  readonly #pages = new Map<number, Uint16Array>();
  #lastIndex = -1;
  #lastPage: Uint16Array | undefined;

  add(cluster: number): void {
    const index = Math.floor(cluster / PAGE);
    if (index !== this.#lastIndex || this.#lastPage === undefined) {
      let page = this.#pages.get(index);
      if (page === undefined) {
        page = new Uint16Array(PAGE);
        this.#pages.set(index, page);
      }
      this.#lastIndex = index;
      this.#lastPage = page;
    }
    // A remainder of floating-point numbers would take ten times as long.
    const at = cluster - index * PAGE;
    if (this.#lastPage[at] < SATURATED) this.#lastPage[at]++;
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
    return this.#lastPage === undefined ? 0 : this.#lastPage[cluster - index * PAGE];
  }
}

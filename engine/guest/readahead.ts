/**
 * Readahead of one open file: what else is read when a program's read misses, and when it comes to the page that was marked for it.
 *
 * Models of Linux' mm/readahead.c (6.1): `page_cache_sync_ra` and `page_cache_async_ra` over `ondemand_readahead` with
 * `get_init_ra_size` and `get_next_ra_size`: the initial window, the window that doubles up to `read_ahead_kb`, the mark at which the
 * next window is begun, the merge of a window with the one that its own mark would begin, and `FMODE_RANDOM`, which reads what was asked
 * for and nothing else. Left out: `try_context_readahead` (several programs that share one open file), requests larger than the window
 * that the device would take in one piece (`io_pages`), large folios, and that a file told to be SEQUENTIAL has windows twice as large.
 */

/** `read_ahead_kb` is 128 by default: pages of 4 KiB. */
export const RA_PAGES = 32;

/** What to read: pages `first` to `first + count - 1`. The read that comes to page `mark` begins the next window; -1 for none. */
export interface Window {
  first: number;
  count: number;
  mark: number;
}

/** `get_init_ra_size`: a first read of `wanted` pages. */
function initialSize(wanted: number): number {
  const size = 2 ** Math.ceil(Math.log2(wanted));
  if (size <= RA_PAGES / 32) return size * 4;
  return size <= RA_PAGES / 4 ? size * 2 : RA_PAGES;
}

/** `get_next_ra_size`. */
function nextSize(size: number): number {
  if (size < RA_PAGES / 16) return size * 4;
  return size <= RA_PAGES / 2 ? size * 2 : RA_PAGES;
}

/** The first page at or after `from` that is not in the cache, or -1 when the next `within` are. */
export type NextMissing = (from: number, within: number) => number;

/** `struct file_ra_state`, in pages. */
export class Readahead {
  /** The current window, and how many pages at its end lie behind the mark. */
  #start = 0;
  #size = 0;
  #ahead = 0;
  /** The last page that was read; -1 before the first. */
  #previous = -1;
  readonly #random: boolean;

  /** `random`: the program said POSIX_FADV_RANDOM, as fio does for random workloads (`fadvise_hint`). */
  constructor(random: boolean) {
    this.#random = random;
  }

  /** The program has its data, up to this page. */
  read(lastPage: number): void {
    this.#previous = lastPage;
  }

  /** `page_cache_sync_ra`: page `index`, from which on `wanted` pages are needed, is not there. */
  missed(index: number, wanted: number): Window {
    const asked = { first: index, count: wanted, mark: -1 };
    if (this.#random) return asked;
    const sequential = index === this.#previous || index === this.#previous + 1;
    if (this.#expects(index)) this.#advance();
    else if (index === 0 || wanted > RA_PAGES || (this.#previous >= 0 && sequential))
      this.#begin(index, wanted);
    else return asked;
    return this.#window(index);
  }

  /** `page_cache_async_ra`: the read has come to the marked page `index`. Undefined when there is nothing to read. */
  hit(index: number, wanted: number, nextMissing: NextMissing): Window | undefined {
    if (this.#random) return undefined;
    if (this.#expects(index)) this.#advance();
    else {
      // The mark is another program's: the window begins where the cache ends.
      const start = nextMissing(index + 1, RA_PAGES);
      if (start < 0) return undefined;
      this.#start = start;
      this.#size = nextSize(start - index + wanted);
      this.#ahead = this.#size;
    }
    return this.#window(index);
  }

  /** So many pages of the window could be read, since the disk ends or the rest is there; `mark` is the page that was marked instead. */
  cut(count: number, mark: number): void {
    this.#size = count;
    this.#ahead = this.#start + count - mark;
  }

  #expects(index: number): boolean {
    const end = this.#start + this.#size;
    return index !== 0 && this.#size > 0 && (index === end - this.#ahead || index === end);
  }
  #advance(): void {
    this.#start += this.#size;
    this.#size = nextSize(this.#size);
    this.#ahead = this.#size;
  }
  #begin(index: number, wanted: number): void {
    this.#start = index;
    this.#size = initialSize(wanted);
    this.#ahead = this.#size > wanted ? this.#size - wanted : this.#size;
  }

  #window(index: number): Window {
    // Its own mark would be hit at once: both windows in one.
    if (index === this.#start && this.#size === this.#ahead) {
      const more = nextSize(this.#size);
      if (this.#size + more <= RA_PAGES) {
        this.#ahead = more;
        this.#size += more;
      } else {
        this.#size = RA_PAGES;
        this.#ahead = RA_PAGES / 2;
      }
    }
    return { first: this.#start, count: this.#size, mark: this.#start + this.#size - this.#ahead };
  }
}

/** Windows of mm/readahead.c, followed by hand from the functions that readahead.ts names. */
import { expect, it } from 'vitest';
import { RA_PAGES, Readahead, type Window } from './readahead.ts';

const nothingMissing = (): number => -1;

/** The windows that a sequential reader of `wanted` pages at a time begins, up to page `end`. */
function windows(wanted: number, end: number, start = 0): Window[] {
  const readahead = new Readahead(false);
  const found: Window[] = [];
  const marks = new Set<number>();
  let cached = start;
  const add = (window: Window | undefined): void => {
    if (window === undefined) return;
    found.push(window);
    marks.add(window.mark);
    cached = Math.max(cached, window.first + window.count);
  };
  for (let page = start; page < end; page += wanted) {
    if (page >= cached) add(readahead.missed(page, wanted));
    for (let at = page; at < page + wanted; at++)
      if (marks.delete(at)) add(readahead.hit(at, page + wanted - at, nothingMissing));
    readahead.read(page + wanted - 1);
  }
  return found;
}

it('begins with four pages for one, and doubles up to 128 KiB, always one window ahead', () => {
  expect(windows(1, 92)).toEqual([
    { first: 0, count: 4, mark: 1 },
    { first: 4, count: 8, mark: 4 },
    { first: 12, count: 16, mark: 12 },
    { first: 28, count: RA_PAGES, mark: 28 },
    { first: 60, count: RA_PAGES, mark: 60 },
    { first: 92, count: RA_PAGES, mark: 92 },
  ]);
});

it('reads of 64 KiB begin with the largest window', () => {
  expect(windows(16, 64)[0]).toEqual({ first: 0, count: RA_PAGES, mark: 16 });
});

it('a read somewhere else reads what was asked for; the next page after it is a sequence', () => {
  const readahead = new Readahead(false);
  expect(readahead.missed(500, 2)).toEqual({ first: 500, count: 2, mark: -1 });
  readahead.read(501);
  expect(readahead.missed(900, 1)).toEqual({ first: 900, count: 1, mark: -1 });
  readahead.read(900);
  expect(readahead.missed(901, 1)).toEqual({ first: 901, count: 4, mark: 902 });
});

it('POSIX_FADV_RANDOM turns it off', () => {
  const readahead = new Readahead(true);
  for (let page = 0; page < 8; page++) {
    expect(readahead.missed(page, 1)).toEqual({ first: page, count: 1, mark: -1 });
    readahead.read(page);
  }
  expect(readahead.hit(8, 1, nothingMissing)).toBeUndefined();
});

it('at a mark of somebody else it goes on where the cache ends, or not at all', () => {
  const readahead = new Readahead(false);
  expect(readahead.hit(40, 1, (from) => from + 7)).toEqual({ first: 48, count: 18, mark: 48 });
  expect(new Readahead(false).hit(40, 1, nothingMissing)).toBeUndefined();
});

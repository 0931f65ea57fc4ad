import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { AttachedImage, ImageInfo, ImagesChange } from '#contract/images.ts';
import { RowChanges, TELL_MS } from './row-changes.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const row = (handle: string, over: Partial<AttachedImage> = {}): AttachedImage => ({
  handle,
  name: handle,
  where: '~',
  process: 'waiting',
  opening: 0,
  ...over,
});

it('tells the rows that differ, and the order when it differs', () => {
  const told: ImagesChange[] = [];
  let list = [row('a'), row('b')];
  const changes = new RowChanges(
    () => list,
    (change) => void told.push(change),
  );
  const next = (now: AttachedImage[]): ImagesChange | undefined => {
    list = now;
    told.length = 0;
    changes.note();
    changes.flush();
    return told.at(0);
  };
  expect(next([row('a'), row('b')])).toEqual({ rows: list, order: ['a', 'b'] });
  expect(next([row('a'), row('b')])).toBeUndefined();
  const info = { name: 'b' } as ImageInfo;
  expect(next([row('a'), row('b', { info })])).toEqual({ rows: [row('b', { info })] });
  expect(next([row('a'), row('b', { info, restsOn: ['a'] })])?.rows).toHaveLength(1);
  // The same words in another object: it was asked again.
  expect(next([row('a'), row('b', { info: { ...info }, restsOn: ['a'] })])?.rows).toHaveLength(1);
  expect(next([row('b', { info, restsOn: ['a'] })])?.order).toEqual(['b']);
});

it('tells the first change at once and gathers those that follow closely', () => {
  const told: ImagesChange[] = [];
  const list: AttachedImage[] = [];
  const changes = new RowChanges(
    () => [...list],
    (change) => void told.push(change),
  );
  for (const handle of ['a', 'b', 'c']) {
    list.push(row(handle));
    changes.note();
  }
  expect(told.map(({ rows }) => rows.length)).toEqual([1]);
  vi.advanceTimersByTime(TELL_MS);
  expect(told.map(({ rows }) => rows.length)).toEqual([1, 2]);
  vi.advanceTimersByTime(10 * TELL_MS);
  expect(told).toHaveLength(2);
});

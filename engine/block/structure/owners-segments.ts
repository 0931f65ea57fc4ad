/** Stretches in order and without overlap, built level by level: what comes later only fills what is left. */
import type { OwnerRows } from './owners-rows.ts';

export interface Segments {
  /** Row of each stretch, its first byte and the byte after its last. */
  row: readonly number[];
  start: readonly number[];
  end: readonly number[];
}

export const NO_SEGMENTS: Segments = { row: [], start: [], end: [] };

/** Adds `level` (rows in the order of their offset) where nothing is yet, cut off at the end of the file. */
export function fillGaps(
  base: Segments,
  rows: OwnerRows,
  level: readonly number[],
  fileSize: number,
): Segments {
  const row: number[] = [];
  const start: number[] = [];
  const end: number[] = [];
  const push = (which: number, from: number, to: number): void => {
    row.push(which);
    start.push(from);
    end.push(to);
  };
  let next = 0;
  /** Everything below is settled. */
  let at = 0;
  const takeBase = (): void => {
    push(base.row[next], base.start[next], base.end[next]);
    at = base.end[next];
    next++;
  };
  for (const one of level) {
    const stop = Math.min(fileSize, rows.offset[one] + rows.length[one]);
    const from = rows.offset[one];
    while (next < base.row.length && base.start[next] <= Math.max(at, from)) takeBase();
    at = Math.max(at, from);
    while (at < stop) {
      const gapEnd = next < base.row.length ? Math.min(stop, base.start[next]) : stop;
      if (gapEnd > at) push(one, at, gapEnd);
      at = gapEnd;
      if (next < base.row.length && base.start[next] <= at) takeBase();
    }
  }
  while (next < base.row.length) takeBase();
  return { row, start, end };
}

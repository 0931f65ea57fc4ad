import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CELL, GAP, cellAt, clampTop, fieldIn, fittingCell } from './geometry.ts';

describe('the field of cells', () => {
  it('holds as many cells as fit', () => {
    expect(fieldIn(CELL * 3 + GAP * 2, CELL)).toEqual({ columns: 3, rows: 1, cell: CELL });
    expect(fieldIn(CELL * 3 + GAP * 2 - 1, 0)).toEqual({ columns: 2, rows: 1, cell: CELL });
  });

  it('gives a small disk larger cells, as long as all of them fit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), (cells) => {
        const field = fieldIn(700, 500, cells);
        if (field.cell > CELL) expect(field.columns * field.rows).toBeGreaterThanOrEqual(cells);
        expect(field.columns * (field.cell + GAP) - GAP).toBeLessThanOrEqual(700);
      }),
    );
    expect(fieldIn(700, 500, 10).cell).toBe(32);
    expect(fieldIn(700, 500, 100_000).cell).toBe(CELL);
  });

  it('fits the whole disk, and not with half of that cell', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 50 }), fc.integer({ min: 1, max: 200 }), (size, columns) => {
        const field = { columns, rows: 40, cell: CELL };
        const cell = fittingCell(size, field, 512);
        expect(cell * columns * 40).toBeGreaterThanOrEqual(size);
        if (cell > 512) expect((cell / 2) * columns * 40).toBeLessThan(size);
      }),
    );
  });

  it('never scrolls past either end', () => {
    const field = { columns: 10, rows: 4, cell: CELL };
    expect(clampTop(-5, 10_000, field, 10)).toBe(0);
    expect(clampTop(99_999, 10_000, field, 10)).toBe(9600);
    expect(clampTop(150, 10_000, field, 10)).toBe(100);
    expect(clampTop(150, 90, field, 10)).toBe(0);
  });

  it('finds the cell under a point', () => {
    const field = { columns: 3, rows: 2, cell: CELL };
    expect(cellAt(CELL + GAP, CELL + GAP, field)).toBe(4);
    expect(cellAt((CELL + GAP) * 3, 0, field)).toBe(-1);
  });
});

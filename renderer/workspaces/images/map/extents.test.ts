import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MapExtent } from '#contract/images.ts';
import { kindOf } from '../../../design/kinds.ts';
import { ExtentTable, SLOTS } from './extents.ts';

const extent = (start: number, length: number, more: Partial<MapExtent> = {}): MapExtent => ({
  start,
  length,
  depth: 0,
  present: true,
  zero: false,
  data: true,
  compressed: false,
  ...more,
});
const hole = { present: false, data: false, zero: true };

describe('kindOf', () => {
  it('reads the flags as qemu-img map means them', () => {
    expect(kindOf(extent(0, 1, { offset: 5 }))).toBe('data');
    expect(kindOf(extent(0, 1, { compressed: true }))).toBe('compressed');
    expect(kindOf(extent(0, 1, { depth: 1, offset: 5 }))).toBe('backing');
    expect(kindOf(extent(0, 1, { data: false, zero: true }))).toBe('zero');
    expect(kindOf(extent(0, 1, hole))).toBe('unallocated');
  });
});

describe('ExtentTable', () => {
  it('joins neighbours only when they continue each other in the file too', () => {
    const table = new ExtentTable();
    table.push([
      extent(0, 10, { offset: 100 }),
      extent(10, 10, { offset: 110 }),
      extent(20, 10, { offset: 300 }),
    ]);
    table.push([extent(30, 5, hole), extent(35, 5, hole), extent(40, 5, { data: false, zero: true })]);
    expect(table.count).toBe(4);
    expect([table.start(1), table.length(1), table.offset(1)]).toEqual([20, 10, 300]);
    expect([table.length(2), table.offset(2), table.kind(2)]).toEqual([10, null, 'unallocated']);
  });

  it('answers offsets in both tables of a stretch, and none outside', () => {
    const table = new ExtentTable();
    table.push([extent(0, 64, hole), extent(64, 64, { offset: 4096 })]);
    expect(table.hostOffset(63)).toBeNull();
    expect(table.hostOffset(70)).toBe(4102);
    expect(table.find(128)).toBe(-1);
  });

  const disk = fc.array(
    fc.record({ length: fc.integer({ min: 1, max: 40 }), kind: fc.integer({ min: 0, max: 5 }) }),
    { minLength: 1, maxLength: 60 },
  );
  const variants: Partial<MapExtent>[] = [
    { offset: 0 },
    { data: false, zero: true },
    hole,
    { compressed: true },
    { depth: 1, offset: 0 },
    { depth: 4, offset: 0 },
  ];

  it('aggregates as counting byte by byte does', () => {
    fc.assert(
      fc.property(
        disk,
        fc.integer({ min: 0, max: 300 }),
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 30 }),
        (parts, start, cellBytes, count) => {
          const table = new ExtentTable();
          const bytes: number[] = [];
          for (const part of parts) {
            table.push([extent(bytes.length, part.length, variants[part.kind])]);
            for (let i = 0; i < part.length; i += 1) bytes.push(part.kind);
          }
          const order = ['data', 'zero', 'unallocated', 'compressed', 'backing', 'backing'] as const;
          const expected = new Float64Array(count * SLOTS.length);
          for (let i = start; i < Math.min(bytes.length, start + cellBytes * count); i += 1) {
            const cell = Math.floor((i - start) / cellBytes);
            const level = bytes[i] === 5 ? 3 : 1;
            const slot = SLOTS.findIndex((one) => one.kind === order[bytes[i]] && one.level === level);
            expected[cell * SLOTS.length + slot] += 1;
          }
          expect(table.aggregate(start, cellBytes, count)).toEqual(expected);
          const at = Math.min(start, bytes.length - 1);
          expect(table.kind(table.find(at))).toBe(order[bytes[at]]);
        },
      ),
    );
  });
});

import { describe, expect, it } from 'vitest';
import { ROW_BYTES, byteAtColumn, hexColumn, hexRow } from './rows.ts';

describe('hexRow', () => {
  const bytes = [0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3];
  const row = hexRow(
    0,
    8,
    (offset) => bytes[offset],
    (offset) => (offset < 4 ? 0 : 1),
  );
  it('joins neighbours that look alike', () => {
    expect(row.hex.map((run) => run.text)).toEqual(['51 46 49 fb ', '00 00 00 ', '03  ']);
    expect(row.hex.map((run) => [run.look, run.field])).toEqual([
      ['byte', 0],
      ['zero', 1],
      ['byte', 1],
    ]);
    expect(row.ascii.map((run) => run.text).join('')).toBe('QFI.....');
  });
  it('ends with the bytes', () =>
    expect([
      row.length,
      hexRow(
        16,
        8,
        () => 0,
        () => -1,
      ).length,
    ]).toEqual([8, 0]));
});

describe('columns', () => {
  it('find the byte that stands there', () => {
    for (let index = 0; index < ROW_BYTES; index += 1) {
      expect(byteAtColumn(hexColumn(index))).toBe(index);
      expect(byteAtColumn(hexColumn(index) + 1)).toBe(index);
    }
  });
});

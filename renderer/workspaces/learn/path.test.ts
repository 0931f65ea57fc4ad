import { describe, expect, it } from 'vitest';
import { worldRows } from './path.ts';

describe('worldRows', () => {
  const rows = worldRows();
  it('has the five worlds from the guest down to the hardware', () => {
    expect(rows.map((row) => row.world)).toEqual(['guest', 'kvm', 'qemu', 'host', 'hardware']);
  });
  it('reads 1 to 7 downwards on the left and 8 to 14 upwards on the right', () => {
    expect(rows.flatMap((row) => row.down.map((one) => one.index))).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(rows.flatMap((row) => row.up.map((one) => one.index))).toEqual([14, 13, 12, 11, 10, 9, 8]);
  });
});

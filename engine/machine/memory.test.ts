import { describe, expect, it } from 'vitest';
import { createMemory, GuestMemory, pcRegions } from './memory.ts';

const MIB = 1024 * 1024;

describe('guest memory (hostile inputs, devices, line 6)', () => {
  it('has the holes of a PC', () => {
    expect(pcRegions(4 * MIB).map(({ base, size }) => [base, size])).toEqual([
      [0, 0xa_0000],
      [MIB, 3 * MIB],
    ]);
    expect(pcRegions(3 * 1024 * MIB).at(-1)).toEqual({
      base: 0x1_0000_0000,
      size: 1024 * MIB,
      offset: 0x8000_0000,
    });
  });

  it.each([
    [0, 16, true],
    [0x9_ffff, 1, true],
    [0x9_ffff, 2, false],
    [0xa_0000, 1, false],
    [0xf_ffff, 2, false],
    [MIB, 3 * MIB, true],
    [4 * MIB - 1, 1, true],
    [4 * MIB - 1, 2, false],
    [-1, 1, false],
    [2 ** 64 - 8, 16, false],
    [NaN, 1, false],
    [0xfee0_0000, 4, false],
  ])('address %d, %d bytes: inside one region: %s', (address, length, inside) => {
    const memory = createMemory(4 * MIB);
    expect(memory.locate(address, length) >= 0).toBe(inside);
  });

  it('follows an owner who replaces the buffer, and tells it before it writes', () => {
    let bytes = new Uint8Array(4096);
    const written: number[][] = [];
    const memory = new GuestMemory({
      regions: [{ base: 0x1000, size: 4096, offset: 0 }],
      current: () => bytes,
      beforeWrite: (...range) => void written.push(range),
    });
    const old = memory.window(16, 16);
    expect(memory.window(16, 16)).toBe(old);
    bytes = new Uint8Array(4096).fill(7);
    memory.refresh();
    expect(memory.window(16, 16)[0]).toBe(7);
    memory.writeUint(0x1010, 4, 1);
    expect(written).toEqual([[16, 4]]);
    expect(() => memory.readUint(0xfff, 2)).toThrowError(
      expect.objectContaining({ code: 'machine.no-memory' }),
    );
  });
});

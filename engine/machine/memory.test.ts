import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMemory, GuestMemory, pcRegions, type MemoryRegion } from './memory.ts';

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

describe('the table of regions', () => {
  const memory = (regions: MemoryRegion[], bytes = 0x3000): GuestMemory =>
    new GuestMemory({ regions, current: bufferOf(bytes) });
  const bufferOf = (bytes: number) => {
    const buffer = new Uint8Array(bytes);
    return () => buffer;
  };

  it('what crosses from one region into its neighbour is in one piece when it is so in the buffer, and else is refused', () => {
    const together = memory([
      { base: 0x2000, size: 0x1000, offset: 0x1000 },
      { base: 0x1000, size: 0x1000, offset: 0 },
    ]);
    expect(together.regions).toEqual([{ base: 0x1000, size: 0x2000, offset: 0 }]);
    expect(together.locate(0x1fff, 2)).toBe(0xfff);
    const apart = memory([
      { base: 0x1000, size: 0x1000, offset: 0x2000 },
      { base: 0x2000, size: 0x1000, offset: 0 },
    ]);
    expect(apart.locate(0x1fff, 1)).toBe(0x2fff);
    expect(apart.locate(0x2000, 1)).toBe(0);
    expect(apart.locate(0x1fff, 2)).toBe(-1);
  });

  it.each<[string, MemoryRegion[]]>([
    ['past the end of the buffer', [{ base: 0, size: 0x3001, offset: 0 }]],
    ['outside the buffer', [{ base: 0, size: 1, offset: 0x3000 }]],
    ['past 4 GiB of the buffer', [{ base: 0, size: 1, offset: 2 ** 32 }]],
    [
      'over another one',
      [
        { base: 0, size: 0x1000, offset: 0 },
        { base: 0xfff, size: 0x1000, offset: 0x1000 },
      ],
    ],
    ['at no whole address', [{ base: 0.5, size: 1, offset: 0 }]],
    ['of negative size', [{ base: 0x1000, size: -1, offset: 0 }]],
    ['that wraps', [{ base: 2 ** 53 - 1, size: 2, offset: 0 }]],
  ])('refuses a region %s', (_, regions) => {
    expect(() => memory(regions)).toThrowError(expect.objectContaining({ code: 'machine.bad-region' }));
  });

  it('an owner who takes memory away is found out', () => {
    let bytes = new Uint8Array(0x1000);
    const shrinking = new GuestMemory({
      regions: [{ base: 0, size: 0x1000, offset: 0 }],
      current: () => bytes,
    });
    bytes = new Uint8Array(0x800);
    expect(() => shrinking.refresh()).toThrowError(expect.objectContaining({ code: 'machine.bad-region' }));
  });

  it('no memory at all has no addresses', () => {
    expect(memory([]).locate(0, 1)).toBe(-1);
  });

  it('any table, any range: located if and only if every byte of it is memory, next to each other in the buffer', () => {
    const PAGE = 16;
    const places = fc.array(fc.record({ gap: fc.nat(2), pages: fc.integer({ min: 1, max: 3 }) }), {
      maxLength: 5,
    });
    fc.assert(
      fc.property(
        places,
        fc.boolean(),
        fc.nat(20 * PAGE),
        fc.nat(4 * PAGE),
        (list, mixed, address, length) => {
          let base = 0;
          const sizes = list.map(({ pages }) => pages * PAGE);
          const total = sizes.reduce((sum, size) => sum + size, 0);
          let offset = mixed ? total : 0;
          const regions = list.map(({ gap, pages }) => {
            base += gap * PAGE;
            const size = pages * PAGE;
            if (mixed) offset -= size;
            const region = { base, size, offset };
            base += size;
            if (!mixed) offset += size;
            return region;
          });
          const found = memory(regions, total);
          const byte = (at: number): number => {
            const region = regions.find((each) => at >= each.base && at < each.base + each.size);
            return region === undefined ? -1 : region.offset + at - region.base;
          };
          const first = byte(address);
          const all = Array.from({ length }, (_, i) => byte(address + i));
          const inOne = all.every((at, i) => at >= 0 && at === first + i);
          if (length > 0) expect(found.locate(address, length)).toBe(inOne ? first : -1);
        },
      ),
      { numRuns: 300 },
    );
  });
});

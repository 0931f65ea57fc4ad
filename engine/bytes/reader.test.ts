import { describe, expect, it } from 'vitest';
import { StructReader } from './reader.ts';
import { StructWriter } from './writer.ts';

const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 0x41, 0x42, 0, 0x43);

describe('StructReader', () => {
  it('reads both byte orders', () => {
    const big = new StructReader(bytes, { structure: 's' });
    const little = new StructReader(bytes, { structure: 's', littleEndian: true });
    expect([big.u8(0, 'a'), big.u16(0, 'a'), big.u32(0, 'a')]).toEqual([1, 0x102, 0x1020304]);
    expect([little.u16(0, 'a'), little.u32(0, 'a')]).toEqual([0x201, 0x4030201]);
    expect(big.u64raw(0, 'a')).toBe(0x0102030405060708n);
    expect(little.u64raw(0, 'a')).toBe(0x0807060504030201n);
    expect(big.cString(8, 4, 'a')).toBe('AB');
  });

  it('names field and absolute byte when the structure ends too early', () => {
    const reader = new StructReader(bytes, { structure: 'header', base: 100 });
    expect(() => reader.u32(9, 'size')).toThrow(
      expect.objectContaining({
        code: 'bytes.truncated',
        context: expect.objectContaining({ field: 'size', offset: 109 }),
      }),
    );
    expect(() => reader.u8(-1, 'size')).toThrow();
  });

  it('takes 64-bit values up to 2^53 - 1 and refuses the next, by name', () => {
    const edge = Uint8Array.of(0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0x20, 0, 0, 0, 0, 0, 0);
    const reader = new StructReader(edge, { structure: 'header' });
    expect(reader.u64(0, 'size')).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => reader.u64(8, 'size')).toThrow(
      expect.objectContaining({
        code: 'bytes.too-large',
        context: expect.objectContaining({ field: 'size', offset: 8, value: '9007199254740992' }),
      }),
    );
  });
});

describe('StructWriter', () => {
  it('writes what the reader reads', () => {
    for (const littleEndian of [false, true]) {
      const options = { structure: 's', littleEndian };
      const writer = new StructWriter(24, options);
      writer.u8(0, 0xfe, 'a');
      writer.u16(1, 0xfedc, 'a');
      writer.u32(3, 0xfedcba98, 'a');
      writer.u64(8, 0x1f_dead_beef_cafe, 'a');
      const reader = new StructReader(writer.bytes, options);
      expect(reader.u8(0, 'a')).toBe(0xfe);
      expect(reader.u16(1, 'a')).toBe(0xfedc);
      expect(reader.u32(3, 'a')).toBe(0xfedcba98);
      expect(reader.u64(8, 'a')).toBe(0x1f_dead_beef_cafe);
    }
  });

  it('refuses what does not fit', () => {
    const writer = new StructWriter(8, { structure: 's' });
    for (const value of [-1, 256, 1.5, Number.NaN]) {
      expect(() => writer.u8(0, value, 'a')).toThrow(expect.objectContaining({ code: 'bytes.does-not-fit' }));
    }
  });
});

import { describe, expect, it } from 'vitest';
import { readings } from './inspect.ts';

const read = (...bytes: number[]) =>
  Object.fromEntries(readings(Uint8Array.from(bytes)).map((row) => [row.type, row.value]));

describe('readings', () => {
  it('reads both orders, and only widths that fit', () => {
    expect(read(1, 2)).toEqual({ u8: '1', i8: '1', 'u16 le': '513', 'u16 be': '258' });
    const eight = read(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0x80);
    expect(eight['i32 le']).toBe('-1');
    expect(eight['u64 le']).toBe('9223372041149743103');
    expect(eight['u64 be']).toBe('18446744069414584448');
    expect(read()).toEqual({});
  });
});

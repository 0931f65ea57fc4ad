import { describe, expect, it } from 'vitest';
import { readings } from './inspect.ts';

describe('readings', () => {
  it('reads both orders, and only widths that fit', () => {
    expect(readings(Uint8Array.of(1, 2))).toEqual([
      { type: 'u8', le: '1', be: '1' },
      { type: 'u16', le: '513', be: '258' },
    ]);
    const eight = readings(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0x80));
    expect(eight.find((row) => row.type === 'i32')).toEqual({ type: 'i32', le: '-1', be: '-1' });
    expect(eight.find((row) => row.type === 'u64')?.le).toBe('9223372041149743103');
  });
});

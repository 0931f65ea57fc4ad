import { expect, it } from 'vitest';
import { isZero } from './is-zero.ts';

it('isZero finds a single byte anywhere, at any alignment', () => {
  const bytes = new Uint8Array(67);
  for (let start = 0; start < 5; start++) {
    const part = bytes.subarray(start, 64);
    expect(isZero(part)).toBe(true);
    for (let at = 0; at < part.length; at++) {
      part[at] = 0x80;
      expect(isZero(part)).toBe(false);
      part[at] = 0;
    }
  }
  // Longer than the zeroes that it is held against.
  const long = new Uint8Array((1 << 20) + 700);
  expect(isZero(long)).toBe(true);
  long[(1 << 20) + 300] = 1;
  expect(isZero(long)).toBe(false);
  expect(isZero(new Uint8Array(0))).toBe(true);
});

import { describe, expect, it } from 'vitest';
import { formatBytes, formatCount, formatHex, parseOffset } from './format.ts';

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [512, '512 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [40 * 1024 ** 3, '40 GiB'],
    [6.1 * 1024 ** 3, '6.1 GiB'],
    [1024 ** 4 - 8 * 1024 ** 2, '1 TiB'],
    [1023 * 1024, '1023 KiB'],
    [Number.MAX_SAFE_INTEGER, '8 PiB'],
  ])('%d is %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});

describe('formatCount and formatHex', () => {
  it('groups thousands', () => expect(formatCount(1234567)).toBe('1\u202f234\u202f567'));
  it('pads', () => expect(formatHex(0x1a, 8)).toBe('0x0000001a'));
});

describe('parseOffset', () => {
  it.each([
    ['0x1000', 4096],
    ['4096', 4096],
    ['64k', 65536],
    ['64 KiB', 65536],
    ['1.5G', 1.5 * 1024 ** 3],
    ['10 000', 10000],
    ['512b', 512],
  ])('reads %s', (text, value) => expect(parseOffset(text)).toBe(value));
  it.each(['', 'x', '0x', '-1', '1.5', '1kk', '99999999999999999'])('refuses %s', (text) =>
    expect(parseOffset(text)).toBeNull(),
  );
});

import { describe, expect, it } from 'vitest';
import { parseCount, parseSize } from './numbers.ts';

describe('parseSize', () => {
  it.each([
    ['0', 0],
    ['4096', 4096],
    ['4k', 4096],
    ['4K', 4096],
    ['64KiB', 65536],
    ['64kb', 65536],
    ['1.5G', 1.5 * 2 ** 30],
    ['512b', 512],
    ['0x1000', 4096],
    ['4P', 2 ** 52],
  ])('%s', (text, bytes) => expect(parseSize(text, '--size')).toBe(bytes));

  it.each(['', 'k', '-1', '1e3', '4 k', '0.3', '1kk', '0xg', '9007199254740993', '8E', 'NaN'])(
    'refuses "%s"',
    (text) => {
      expect(() => parseSize(text, '--size')).toThrow(`option '--size' cannot be '${text}'`);
    },
  );
});

describe('parseCount', () => {
  it('takes whole numbers in the range', () => {
    expect(parseCount('1024', '--iodepth', 1, 1024)).toBe(1024);
    expect(() => parseCount('1025', '--iodepth', 1, 1024)).toThrow('a whole number from 1 to 1024');
    expect(() => parseCount('0', '--iodepth', 1)).toThrow('a whole number of at least 1');
    expect(() => parseCount('1.5', '--iodepth', 1)).toThrow("'--iodepth' cannot be '1.5'");
  });
});

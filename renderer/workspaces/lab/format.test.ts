import { describe, expect, it } from 'vitest';
import { duration, micros, perRequest, shortCount } from './format.ts';

describe('figures of the lab', () => {
  it('keeps counts short at every size and carries at the borders', () => {
    expect([0, 4.71, 47, 999, 999.6, 18_240, 99_960, 999_600, 3_400_000, 2.5e9].map(shortCount)).toEqual([
      '0',
      '4.7',
      '47',
      '999',
      '1.0 k',
      '18.2 k',
      '100 k',
      '1.0 M',
      '3.4 M',
      '2.5 G',
    ]);
    for (let v = 1; v < 1e12; v *= 1.37) expect(shortCount(v).length).toBeLessThanOrEqual(6);
  });

  it('gives durations a unit that fits', () => {
    expect([0, 840, 12_400, 999_960, 3_100_000, 2_050_000_000].map(duration)).toEqual([
      '0 ns',
      '840 ns',
      '12.4 µs',
      '1.0 ms',
      '3.1 ms',
      '2.05 s',
    ]);
  });

  it('keeps a column of times in one unit, down to a tenth of a microsecond', () => {
    expect([0, 49, 50, 2_412_340, 1_000_000_000].map(micros)).toEqual([
      '0.0',
      '0.0',
      '0.1',
      '2\u202f412.3',
      '1\u202f000\u202f000.0',
    ]);
  });

  it('shows what was before the zero with a minus sign', () => {
    expect([-40, -1_234_560].map(micros)).toEqual(['0.0', '−1\u202f234.6']);
  });

  it('does not divide by no request', () => {
    expect(perRequest(3, 0)).toBe('–');
    expect(perRequest(3, 2)).toBe('1.50');
  });
});

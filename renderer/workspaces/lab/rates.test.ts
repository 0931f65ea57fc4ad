import { describe, expect, it } from 'vitest';
import { Rates } from './rates.ts';

describe('station rates', () => {
  it('settles on a steady rate', () => {
    const rates = new Rates(1);
    for (let t = 0; t <= 5000; t += 16) rates.update([t * 2], t);
    expect(rates.values[0]).toBeCloseTo(2000, 0);
  });

  it('says nothing after the first look, and falls to zero at rest', () => {
    const rates = new Rates(1);
    rates.update([1000], 0);
    expect(rates.values[0]).toBe(0);
    rates.update([2000], 16);
    expect(rates.values[0]).toBeGreaterThan(0);
    for (let t = 32; t < 8000; t += 16) rates.update([2000], t);
    expect(rates.values[0]).toBe(0);
  });

  it('starts anew when the counters went back', () => {
    const rates = new Rates(1);
    rates.update([500], 0);
    rates.update([900], 100);
    rates.update([3], 200);
    expect(rates.values[0]).toBe(0);
  });
});

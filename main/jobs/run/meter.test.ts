import { describe, expect, it } from 'vitest';
import { Meter } from './meter.ts';

const MIB = 1024 * 1024;

describe('Meter', () => {
  it('says nothing of the speed before it has seen enough', () => {
    const meter = new Meter();
    expect(meter.progress(0, 0, 100 * MIB)).toMatchObject({ speed: 0, remaining: null });
    expect(meter.progress(100, 5 * MIB, 100 * MIB).speed).toBe(0);
  });

  it('measures bytes a second and what the rest will take', () => {
    const meter = new Meter();
    meter.progress(0, 0, 100 * MIB);
    const later = meter.progress(2000, 20 * MIB, 100 * MIB);
    expect(later.speed).toBeCloseTo(10 * MIB);
    expect(later.remaining).toBeCloseTo(8);
  });

  it('forgets what was long ago: a hole skipped at the start does not promise the same for the rest', () => {
    const meter = new Meter();
    meter.progress(0, 0, 1000 * MIB);
    meter.progress(1000, 500 * MIB, 1000 * MIB);
    for (let second = 2; second <= 10; second++)
      meter.progress(second * 1000, (500 + second) * MIB, 1000 * MIB);
    expect(meter.progress(11_000, 511 * MIB, 1000 * MIB).speed).toBeCloseTo(MIB);
  });

  it('has nothing left at the end', () => {
    const meter = new Meter();
    meter.progress(0, 0, 10);
    expect(meter.progress(1, 10, 10).remaining).toBe(0);
  });
});

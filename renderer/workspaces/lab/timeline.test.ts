import { describe, expect, it } from 'vitest';
import { pan, tickStep, WHOLE, zoomAt } from './timeline.ts';

describe('timeline', () => {
  it('keeps what is under the pointer in its place when zooming', () => {
    const zoom = zoomAt(WHOLE, 0.3, 0.5);
    expect(zoom.start + 0.3 * (zoom.end - zoom.start)).toBeCloseTo(0.3);
    expect(zoomAt(zoom, 0.9, 100)).toEqual(WHOLE);
  });

  it('never pans out of the whole', () => {
    const zoom = { start: 0.8, end: 0.9 };
    expect(pan(zoom, 5)).toEqual({ start: 0.9, end: 1 });
    expect(pan(zoom, -50).start).toBe(0);
  });

  it('marks the axis with round numbers', () => {
    expect(tickStep(1000, 8)).toBe(200);
    expect(tickStep(37_000, 8)).toBe(5000);
    expect(tickStep(0, 8)).toBe(1);
  });
});

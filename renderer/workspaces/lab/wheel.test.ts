import { describe, expect, it } from 'vitest';
import { distance, groupSlots, pointAt, slotAt } from './wheel.ts';

describe('wheel', () => {
  it('finds under a point the slot that is drawn there', () => {
    for (const size of [2, 8, 128, 1024])
      for (let slot = 0; slot < size; slot += Math.max(1, size >> 4)) {
        const { x, y } = pointAt((slot + 0.5) / size, 80);
        expect(slotAt(x, y, size)).toBe(slot);
      }
    expect(slotAt(100, 100, 8)).toBeNull();
  });

  it('draws slots of one look as one path', () => {
    const slots = Array.from({ length: 256 }, (_, i) => ({
      state: i < 3 ? ('waiting' as const) : ('idle' as const),
      request: i < 3 ? 9 : 0,
    }));
    const groups = groupSlots(slots);
    expect(groups).toHaveLength(2);
    expect(groups[1].path.match(/M/g)).toHaveLength(3);
  });

  it('counts distances over the wrap', () => {
    expect(distance(0xfffe, 1)).toBe(3);
  });
});

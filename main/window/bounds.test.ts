import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { fitToScreens, windowStateSchema } from './bounds.ts';

const primary = { x: 0, y: 25, width: 1920, height: 1055 };
const second = { x: 1920, y: 0, width: 1280, height: 1024 };
const state = (x: number | undefined, y: number | undefined, width = 1200, height = 800) => ({
  bounds: { x, y, width, height },
  maximized: false,
});

describe('fitToScreens', () => {
  it('leaves a window alone that can be seen, on either screen', () => {
    for (const kept of [state(100, 100), state(2000, 10), state(-900, 100)]) {
      expect(fitToScreens(kept, [primary, second])).toEqual(kept);
    }
  });

  it('lets the system place a window whose screen is gone, or whose title is out of reach', () => {
    for (const lost of [state(2000, 10), state(100, -10), state(100, 1070), state(-1190, 100)]) {
      const { bounds } = fitToScreens(lost, [primary]);
      expect(bounds).toEqual({ width: 1200, height: 800 });
    }
  });

  it('makes it no larger than its screen and no smaller than the least', () => {
    expect(fitToScreens(state(2000, 10, 4000, 3000), [primary, second]).bounds).toMatchObject({
      width: 1280,
      height: 1024,
    });
    expect(fitToScreens(state(0, 30, 1, 1), [primary]).bounds).toEqual({ width: 960, height: 600 });
  });

  it('has a default that the schema makes of nothing', () => {
    expect(v.parse(windowStateSchema, {})).toEqual({
      bounds: { width: 1280, height: 800 },
      maximized: false,
    });
  });
});

/** Where the window was, made to fit the screens that are there now. Pure. */
import * as v from 'valibot';

const size = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(32767));
const place = v.pipe(v.number(), v.integer(), v.minValue(-32768), v.maxValue(32767));

export const windowStateSchema = v.object({
  /** Device-independent pixels; no place means the system chooses. */
  bounds: v.optional(v.object({ x: v.optional(place), y: v.optional(place), width: size, height: size }), {
    width: 1280,
    height: 800,
  }),
  maximized: v.optional(v.boolean(), false),
});
export type WindowState = v.InferOutput<typeof windowStateSchema>;

export interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

export const SMALLEST = { width: 960, height: 600 } as const;

/** So much of the window's title must be on a screen to be taken hold of. */
const GRIP = { width: 160, height: 32 } as const;

/**
 * The state, no larger than the screen that it is on; without its place when no screen would show enough of its title (the
 * second monitor is gone).
 * @param screens work areas of all screens; the first is the primary one
 */
export function fitToScreens(state: WindowState, screens: readonly Rectangle[]): WindowState {
  const { x, y, width, height } = state.bounds;
  const screen = screens.find((area) => x !== undefined && y !== undefined && showsTitle(area, x, y, width));
  const area = screen ?? screens[0] ?? { x: 0, y: 0, ...SMALLEST };
  const fitted = {
    width: Math.max(SMALLEST.width, Math.min(width, area.width)),
    height: Math.max(SMALLEST.height, Math.min(height, area.height)),
  };
  return { maximized: state.maximized, bounds: screen === undefined ? fitted : { x, y, ...fitted } };
}

function showsTitle(area: Rectangle, x: number, y: number, width: number): boolean {
  const across = Math.min(x + width, area.x + area.width) - Math.max(x, area.x);
  return across >= GRIP.width && y >= area.y && y + GRIP.height <= area.y + area.height;
}

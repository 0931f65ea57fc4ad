/** Geometry of a ring drawn as a wheel: slot 0 at twelve o'clock, clockwise, in a box of 200 by 200 units. */

export const CENTRE = 100;
export const OUTER = 90;
export const INNER = 66;

/** What a slot of a ring holds just now. */
export type SlotState = 'idle' | 'waiting' | 'taken';

/** The slots that share a colour, as one SVG path: a wheel of 256 slots is then a handful of elements. */
export interface SlotGroup {
  state: SlotState;
  /** The request's number, 0 when none is known. */
  request: number;
  path: string;
}

export interface Slot {
  state: SlotState;
  request: number;
}

/** x and y on a circle around the centre; `turn` is a part of the full circle, 0 at the top. */
export function pointAt(turn: number, radius: number): { x: number; y: number } {
  const angle = (turn - 0.25) * 2 * Math.PI;
  return { x: CENTRE + radius * Math.cos(angle), y: CENTRE + radius * Math.sin(angle) };
}

/** A ring sector from `from` to `to` (parts of the full circle) as an SVG path. */
export function sector(from: number, to: number, inner: number = INNER, outer: number = OUTER): string {
  const a = pointAt(from, outer);
  const b = pointAt(to, outer);
  const c = pointAt(to, inner);
  const d = pointAt(from, inner);
  const large = to - from > 0.5 ? 1 : 0;
  return (
    `M${num(a.x)} ${num(a.y)}A${outer} ${outer} 0 ${large} 1 ${num(b.x)} ${num(b.y)}` +
    `L${num(c.x)} ${num(c.y)}A${inner} ${inner} 0 ${large} 0 ${num(d.x)} ${num(d.y)}Z`
  );
}

/** Held slots are drawn at least this part of the circle wide, so that one of 1024 can be seen. */
const LEAST = 1 / 100;

/** Gathers the slots that look alike. Up to 128 slots there is a gap between neighbours. */
export function groupSlots(slots: readonly Slot[]): SlotGroup[] {
  const groups = new Map<string, SlotGroup>();
  const gap = slots.length <= 128 ? 0.1 / slots.length : 0;
  for (const [index, slot] of slots.entries()) {
    const key = `${slot.state}:${slot.request}`;
    let group = groups.get(key);
    if (!group) groups.set(key, (group = { state: slot.state, request: slot.request, path: '' }));
    const extra = slot.state === 'idle' ? 0 : Math.max(0, (LEAST - 1 / slots.length) / 2);
    group.path += sector(
      index / slots.length + gap / 2 - extra,
      (index + 1) / slots.length - gap / 2 + extra,
    );
  }
  // The idle ones first, so that the widened ones lie above them.
  return [...groups.values()].sort((a, b) => Number(a.state !== 'idle') - Number(b.state !== 'idle'));
}

/** Which slot lies under a point of the box, or null when it is not on the ring. */
export function slotAt(x: number, y: number, size: number): number | null {
  const dx = x - CENTRE;
  const dy = y - CENTRE;
  const radius = Math.hypot(dx, dy);
  if (radius < INNER || radius > OUTER) return null;
  const turn = (Math.atan2(dy, dx) / (2 * Math.PI) + 1.25) % 1;
  return Math.min(size - 1, Math.floor(turn * size));
}

/** How far index `to` is ahead of `from`: both are 16-bit counters that wrap (virtio 1.2, section 2.7.6). */
export function distance(from: number, to: number): number {
  return (to - from) & 0xffff;
}

function num(value: number): string {
  return value.toFixed(2);
}

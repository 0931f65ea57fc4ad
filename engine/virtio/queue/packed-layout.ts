/** Packed virtqueues as they lie in memory (virtio 1.2, section 2.8). All fields are little-endian. */
import { DESC_SIZE } from './layout.ts';

/** Section 2.8.13: descriptor: addr (8), len (4), id (2), flags (2). */
export const PACKED_ID = 12;
export const PACKED_FLAGS = 14;
/** Section 2.8.1: what both wrap counters are compared with. */
export const DESC_F_AVAIL = 1 << 7;
export const DESC_F_USED = 1 << 15;
const BOTH = DESC_F_AVAIL | DESC_F_USED;

/** Section 2.8.14: event suppression structure: offset and wrap counter (2), flags (2). */
export const EVENT_FLAGS = 2;
export const EVENT_BYTES = 4;
export const EVENT_F_ENABLE = 0;
export const EVENT_F_DISABLE = 1;
export const EVENT_F_DESC = 2;
/** The wrap counter's bit beside an offset, in an event structure and in a notification (section 2.9). */
export const WRAP = 1 << 15;

/** Bytes of the descriptor ring. */
export const packedBytes = (size: number): number => size * DESC_SIZE;

/** A descriptor with these flags is available to a device whose wrap counter is `wrap`. */
export function isAvailable(flags: number, wrap: boolean): boolean {
  return (flags & BOTH) === (wrap ? DESC_F_AVAIL : DESC_F_USED);
}

/** A descriptor with these flags is used, to a driver whose wrap counter is `wrap`. */
export function isUsed(flags: number, wrap: boolean): boolean {
  return (flags & BOTH) === (wrap ? BOTH : 0);
}

/** The flags that say so. */
export const availableFlags = (wrap: boolean): number => (wrap ? DESC_F_AVAIL : DESC_F_USED);
export const usedFlags = (wrap: boolean): number => (wrap ? BOTH : 0);

/**
 * Section 2.8.10 (and Linux's `vring_need_event` after QEMU's `vring_packed_need_event`): whether going from ring position `before` to
 * `now`, where the wrap counter is `wrap`, passed the position that `offWrap` names.
 */
export function packedNeedEvent(
  offWrap: number,
  size: number,
  wrap: boolean,
  now: number,
  before: number,
): boolean {
  const sameRound = wrap === ((offWrap & WRAP) !== 0);
  const event = (offWrap & ~WRAP) - (sameRound ? 0 : size);
  return ((now - event - 1) & 0xffff) < ((now - before) & 0xffff);
}

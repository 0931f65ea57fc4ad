/** Split virtqueues as they lie in memory (virtio 1.2, section 2.7). All fields are little-endian. */

/** Section 2.7.5: descriptor flags. */
export const DESC_F_NEXT = 1;
export const DESC_F_WRITE = 2;
export const DESC_F_INDIRECT = 4;
/** Bytes of a descriptor: addr (8), len (4), flags (2), next (2). */
export const DESC_SIZE = 16;
export const DESC_ADDR = 0;
export const DESC_LEN = 8;
export const DESC_FLAGS = 12;
export const DESC_NEXT = 14;

/** Section 2.7.6: flags (2), idx (2), ring (2 each), used_event (2). */
export const AVAIL_F_NO_INTERRUPT = 1;
export const AVAIL_IDX = 2;
export const AVAIL_RING = 4;
/** Section 2.7.8: flags (2), idx (2), elements of id (4) and len (4), avail_event (2). */
export const USED_F_NO_NOTIFY = 1;
export const USED_IDX = 2;
export const USED_RING = 4;
export const USED_ELEM = 8;

/** The largest queue size that a split virtqueue may have (section 2.7). */
export const QUEUE_SIZE_MAX = 32768;

/** Bytes of the three parts for a queue of `size` entries, event fields included. */
export const descBytes = (size: number): number => size * DESC_SIZE;
export const availBytes = (size: number): number => AVAIL_RING + size * 2 + 2;
export const usedBytes = (size: number): number => USED_RING + size * USED_ELEM + 2;

/**
 * Section 2.7.10.1 and Linux's `vring_need_event`: whether moving an index from `before` to `now` passes `event`, all modulo 2^16.
 */
export function needEvent(event: number, now: number, before: number): boolean {
  return ((now - event - 1) & 0xffff) < ((now - before) & 0xffff);
}

/** What the slots of the available and the used ring hold, seen from their indices (virtio 1.2, sections 2.7.6 and 2.7.8). */
import type { QueueView } from '#contract/lab.ts';
import { distance, type Slot } from './wheel.ts';

/**
 * The available ring: `waiting` between the device's counter and `avail.idx` (offered and not yet taken), `taken` for an
 * entry whose chain the device still holds, `idle` for what lies behind.
 */
export function availSlots(queue: QueueView): Slot[] {
  const slots = idle(queue.size);
  const waiting = Math.min(distance(queue.lastAvailIdx, queue.avail.idx), queue.size);
  for (let i = 0; i < waiting; i++) {
    const slot = (queue.lastAvailIdx + i) % queue.size;
    slots[slot] = { state: 'waiting', request: requestAt(queue, queue.avail.ring[slot]) };
  }
  const collected = usedHeads(queue);
  const seen = new Set<number>();
  for (let i = 1; i <= queue.size - waiting && seen.size < queue.inFlight; i++) {
    const slot = (((queue.lastAvailIdx - i) % queue.size) + queue.size) % queue.size;
    const head = queue.avail.ring[slot];
    const request = requestAt(queue, head);
    if (request === 0 || seen.has(request) || collected.has(head)) continue;
    seen.add(request);
    slots[slot] = { state: 'taken', request };
  }
  return slots;
}

/** The used ring: `waiting` between the driver's counter and `used.idx` (finished and not yet collected). */
export function usedSlots(queue: QueueView): Slot[] {
  const slots = idle(queue.size);
  const waiting = Math.min(distance(queue.lastUsedIdx, queue.used.idx), queue.size);
  for (let i = 0; i < waiting; i++) {
    const slot = (queue.lastUsedIdx + i) % queue.size;
    slots[slot] = { state: 'waiting', request: requestAt(queue, queue.used.id[slot]) };
  }
  return slots;
}

/** Chains that the device has put into the used ring and the driver has not collected. */
function usedHeads(queue: QueueView): Set<number> {
  const heads = new Set<number>();
  const waiting = Math.min(distance(queue.lastUsedIdx, queue.used.idx), queue.size);
  for (let i = 0; i < waiting; i++) heads.add(queue.used.id[(queue.lastUsedIdx + i) % queue.size]);
  return heads;
}

function requestAt(queue: QueueView, descriptor: number): number {
  return descriptor < queue.size ? queue.requestOf[descriptor] : 0;
}

function idle(size: number): Slot[] {
  return Array.from({ length: size }, () => ({ state: 'idle', request: 0 }));
}

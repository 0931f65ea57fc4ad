/** What a device sees of a virtqueue, whatever its layout. */
import type { QueueElement } from './element.ts';

/** Where the driver put a queue. */
export interface QueueAddresses {
  /** Entries. */
  size: number;
  /** Guest physical addresses of the descriptor area, the driver area (available ring) and the device area (used ring). */
  desc: number;
  driver: number;
  device: number;
}

export interface QueueFeatures {
  /** VIRTIO_F_INDIRECT_DESC. */
  indirect: boolean;
  /** VIRTIO_F_EVENT_IDX. */
  eventIdx: boolean;
}

export interface DeviceQueue {
  readonly size: number;
  /** Chains taken and not yet given back. */
  readonly inFlight: number;
  /** The next chain, or null when the driver has offered none. Throws what errors.ts lists. */
  pop(): QueueElement | null;
  /** Gives a chain back with the number of bytes written into it. Not visible to the driver before `flush`. */
  fill(element: QueueElement, written: number): void;
  /** Publishes what was filled; answers how many. */
  flush(): number;
  /** Whether the driver wants to be interrupted for what was flushed since the last time it was asked. */
  shouldNotify(): boolean;
  /** Asks the driver to notify (true) or not to bother (false). Answers whether chains are waiting already. */
  setNotification(wanted: boolean): boolean;
  /** Forgets everything in flight: the queue or its device is reset. */
  drop(): void;
}

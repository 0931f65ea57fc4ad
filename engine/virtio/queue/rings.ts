/** Either half of a queue in the layout that was negotiated. */
import type { GuestMemory } from '../../machine/memory.ts';
import { PackedDeviceQueue } from './packed-device.ts';
import { PackedDriverQueue, packedQueueBytes } from './packed-driver.ts';
import type { DeviceQueue, DriverQueue, QueueAddresses, QueueFeatures } from './queue.ts';
import { SplitDeviceQueue } from './split-device.ts';
import { SplitDriverQueue, splitQueueBytes, type DriverQueueOptions } from './split-driver.ts';

export type Layout = 'split' | 'packed';

/** Throws `virtio.queue-size`, `virtio.packed-size` or `virtio.queue-address`. */
export function deviceQueue(
  layout: Layout,
  memory: GuestMemory,
  at: QueueAddresses,
  features: QueueFeatures,
): DeviceQueue {
  return layout === 'packed'
    ? new PackedDeviceQueue(memory, at, features)
    : new SplitDeviceQueue(memory, at, features);
}

/** `base`: see the constructors; `queueBytes` says how much memory it takes. */
export function driverQueue(
  layout: Layout,
  memory: GuestMemory,
  base: number,
  size: number,
  options: DriverQueueOptions,
): DriverQueue {
  return layout === 'packed'
    ? new PackedDriverQueue(memory, base, size, options)
    : new SplitDriverQueue(memory, base, size, options);
}

/** Bytes of guest memory that a queue takes from a 4096-byte boundary on. */
export function queueBytes(layout: Layout, size: number, indirectEntries = 0): number {
  return layout === 'packed'
    ? packedQueueBytes(size, indirectEntries)
    : splitQueueBytes(size, indirectEntries);
}

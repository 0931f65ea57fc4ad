/** Where the parts of a legacy virtqueue lie (virtio 1.2, section 2.7.2): one area, the used ring aligned. */
import type { VirtioDevice } from '../device.ts';
import { AVAIL_RING, descBytes } from '../queue/layout.ts';

export interface LegacyRing {
  desc: number;
  driver: number;
  device: number;
}

/**
 * Guest-physical addresses of the three parts of a queue of `size` entries at `address`; `align` in bytes. As everywhere, the
 * available ring counts without its last field here.
 */
export function legacyRing(address: number, size: number, align: number): LegacyRing {
  const driver = address + descBytes(size);
  const end = driver + AVAIL_RING + size * 2;
  return { desc: address, driver, device: Math.ceil(end / align) * align };
}

/** DRIVER_OK came: features are settled, so that the queues which have an address can be built. */
export function enableLegacyQueues(device: VirtioDevice): void {
  for (const queue of device.queues) {
    if (queue.desc !== 0 && !queue.enabled) device.enableQueue(queue);
  }
}

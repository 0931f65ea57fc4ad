/** The properties of QEMU's `virtio-scsi-pci` that the device itself has, with QEMU's defaults (hw/scsi/virtio-scsi.c, 7.2). */
import { F, featureSet } from '../features.ts';

export interface ScsiProperties {
  /** `num_queues=`: request queues; QEMU's default is the number of virtual CPUs. */
  numQueues: number;
  /** `virtqueue_size=`. */
  queueSize: number;
  /** `seg_max_adjust=`: `seg_max` follows the queue size. */
  segMaxAdjust: boolean;
  /** `max_sectors=`: hint to the driver, 512-byte sectors. */
  maxSectors: number;
  /** `cmd_per_lun=`: hint to the driver. */
  cmdPerLun: number;
  /** `hotplug=` and `param_change=`: events. */
  hotplug: boolean;
  paramChange: boolean;
  /** `indirect_desc=`, `event_idx=`, `queue_reset=`. */
  indirectDesc: boolean;
  eventIdx: boolean;
  queueReset: boolean;
  /** `packed=`: the driver may choose packed virtqueues. */
  packed: boolean;
  /** `iommu_platform=`: VIRTIO_F_ACCESS_PLATFORM, without which a driver is refused. */
  iommuPlatform: boolean;
  /** Requests are given back in the order in which they came; QEMU has no such property. */
  inOrder: boolean;
}

export const SCSI_DEFAULTS: Readonly<ScsiProperties> = {
  numQueues: 1,
  queueSize: 256,
  segMaxAdjust: true,
  maxSectors: 0xffff,
  cmdPerLun: 128,
  hotplug: true,
  paramChange: true,
  indirectDesc: true,
  eventIdx: true,
  queueReset: true,
  packed: false,
  iommuPlatform: false,
  inOrder: false,
};

/** Section 5.6.3: feature bits of the SCSI host. INOUT and T10_PI are not offered, as in QEMU. */
export const SCSI_F = { inOut: 0, hotplug: 1, change: 2, t10Pi: 3 } as const;

/** The feature bits that a device with these properties offers. */
export function offeredFeatures(properties: ScsiProperties): bigint {
  const bits: number[] = [F.VERSION_1];
  if (properties.hotplug) bits.push(SCSI_F.hotplug);
  if (properties.paramChange) bits.push(SCSI_F.change);
  if (properties.indirectDesc) bits.push(F.INDIRECT_DESC);
  if (properties.eventIdx) bits.push(F.EVENT_IDX);
  if (properties.queueReset) bits.push(F.RING_RESET);
  if (properties.packed) bits.push(F.RING_PACKED);
  if (properties.iommuPlatform) bits.push(F.ACCESS_PLATFORM);
  if (properties.inOrder) bits.push(F.IN_ORDER);
  return featureSet(...bits);
}

/** The properties of QEMU's `virtio-blk-pci` that the device itself has, with QEMU's defaults (hw/block/virtio-blk.c, 7.2 and later). */
import { F, featureSet } from '../features.ts';
import type { OnError } from '../../block/on-error.ts';

export interface BlkProperties {
  /** `serial=`, at most 20 bytes. */
  serial: string;
  /** `num-queues=`; QEMU's default is the number of virtual CPUs. */
  numQueues: number;
  /** `queue-size=`. */
  queueSize: number;
  /** `seg-max-adjust=`: `seg_max` follows the queue size. */
  segMaxAdjust: boolean;
  /** `logical_block_size=` and `physical_block_size=`, bytes. */
  logicalBlockSize: number;
  physicalBlockSize: number;
  minIoSize: number;
  optIoSize: number;
  /** `write-cache=`. */
  writeCache: boolean;
  /** `config-wce=`. */
  configWce: boolean;
  discard: boolean;
  writeZeroes: boolean;
  maxDiscardSectors: number;
  maxWriteZeroesSectors: number;
  /** `cyls=`, `heads=`, `secs=`: the geometry, all 0 for a guess. */
  cylinders: number;
  heads: number;
  sectors: number;
  /** `discard_granularity=` in bytes, -1 for the logical block size; `report-discard-granularity=` whether the driver hears of it. */
  discardGranularity: number;
  reportDiscardGranularity: boolean;
  /** `rerror=` and `werror=`: what a failed request leads to. */
  rerror: OnError;
  werror: OnError;
  /** `indirect_desc=`, `event_idx=`, `queue_reset=`, `packed=`. */
  indirectDesc: boolean;
  eventIdx: boolean;
  queueReset: boolean;
  packed: boolean;
  /** `iommu_platform=`: VIRTIO_F_ACCESS_PLATFORM, without which a driver is refused. */
  iommuPlatform: boolean;
  /** VIRTIO_F_IN_ORDER and VIRTIO_F_NOTIFICATION_DATA, which QEMU 7.2 offers for no disk. */
  inOrder: boolean;
  notificationData: boolean;
  /**
   * VIRTIO_BLK_F_SIZE_MAX, which QEMU offers for no disk: the most bytes of one buffer of data, as a device has it whose DMA engine counts
   * in so many bits. 0: no such limit.
   */
  sizeMax: number;
  /**
   * VIRTIO_BLK_F_SECURE_ERASE, which QEMU offers for no disk: the disk overwrites the sectors with zeroes that are really stored, and
   * flushes. What the image keeps elsewhere (a snapshot, a compressed cluster that was replaced) it does not reach.
   */
  secureErase: boolean;
  maxSecureEraseSectors: number;
  /** Boundaries on which a range to erase begins and ends, bytes; -1 for the logical block size. */
  secureEraseGranularity: number;
}

/** `BDRV_REQUEST_MAX_SECTORS`: 2^31 bytes, less one sector's worth, as QEMU bounds one request (include/block/block.h). */
export const REQUEST_MAX_SECTORS = 0x3f_ffff;
/** 64 MiB: unlike a discard, every byte of an erasure is written, and the host is busy with nothing else meanwhile. */
export const ERASE_MAX_SECTORS = 0x2_0000;

export const BLK_DEFAULTS: Readonly<BlkProperties> = {
  serial: '',
  numQueues: 1,
  queueSize: 256,
  segMaxAdjust: true,
  logicalBlockSize: 512,
  physicalBlockSize: 512,
  minIoSize: 0,
  optIoSize: 0,
  writeCache: true,
  configWce: true,
  discard: true,
  writeZeroes: true,
  maxDiscardSectors: REQUEST_MAX_SECTORS,
  maxWriteZeroesSectors: REQUEST_MAX_SECTORS,
  cylinders: 0,
  heads: 0,
  sectors: 0,
  discardGranularity: -1,
  reportDiscardGranularity: true,
  rerror: 'auto',
  werror: 'auto',
  indirectDesc: true,
  eventIdx: true,
  queueReset: true,
  packed: false,
  iommuPlatform: false,
  inOrder: false,
  notificationData: false,
  sizeMax: 0,
  secureErase: false,
  maxSecureEraseSectors: ERASE_MAX_SECTORS,
  secureEraseGranularity: -1,
};

/** The feature bits that a device with these properties offers. */
export function offeredFeatures(properties: BlkProperties, readOnly: boolean): bigint {
  const bits: number[] = [F.BLK_SEG_MAX, F.BLK_GEOMETRY, F.BLK_BLK_SIZE, F.BLK_TOPOLOGY, F.VERSION_1];
  if (properties.writeCache) bits.push(F.BLK_FLUSH);
  if (properties.configWce) bits.push(F.BLK_CONFIG_WCE, F.BLK_FLUSH);
  if (readOnly) bits.push(F.BLK_RO);
  if (properties.numQueues > 1) bits.push(F.BLK_MQ);
  if (properties.discard) bits.push(F.BLK_DISCARD);
  if (properties.writeZeroes) bits.push(F.BLK_WRITE_ZEROES);
  if (properties.sizeMax > 0) bits.push(F.BLK_SIZE_MAX);
  if (properties.secureErase) bits.push(F.BLK_SECURE_ERASE);
  if (properties.indirectDesc) bits.push(F.INDIRECT_DESC);
  if (properties.eventIdx) bits.push(F.EVENT_IDX);
  if (properties.queueReset) bits.push(F.RING_RESET);
  if (properties.packed) bits.push(F.RING_PACKED);
  if (properties.iommuPlatform) bits.push(F.ACCESS_PLATFORM);
  if (properties.inOrder) bits.push(F.IN_ORDER);
  if (properties.notificationData) bits.push(F.NOTIFICATION_DATA);
  return featureSet(...bits);
}

/** The block device's configuration space (virtio 1.2, section 5.2.4), laid out once; only `writeback` changes. */
import { QUEUE_SIZE_MAX } from '../queue/layout.ts';
import type { BlkProperties } from './options.ts';
import { SECTOR } from './protocol.ts';

/** Byte offsets. */
export const BLK_CONFIG = {
  capacity: 0,
  sizeMax: 8,
  segMax: 12,
  cylinders: 16,
  heads: 18,
  sectors: 19,
  blkSize: 20,
  physicalBlockExp: 24,
  alignmentOffset: 25,
  minIoSize: 26,
  optIoSize: 28,
  writeback: 32,
  numQueues: 34,
  maxDiscardSectors: 36,
  maxDiscardSeg: 40,
  discardSectorAlignment: 44,
  maxWriteZeroesSectors: 48,
  maxWriteZeroesSeg: 52,
  writeZeroesMayUnmap: 56,
  maxSecureEraseSectors: 60,
  maxSecureEraseSeg: 64,
  secureEraseSectorAlignment: 68,
} as const;

const CONFIG_BYTES = BLK_CONFIG.secureEraseSectorAlignment + 4;

/** Bytes of the space for a device with these properties, as QEMU cuts it (`virtio_blk_set_config_size`). */
export function blkConfigSize(properties: BlkProperties): number {
  if (properties.secureErase) return CONFIG_BYTES;
  if (properties.writeZeroes) return BLK_CONFIG.writeZeroesMayUnmap + 1;
  if (properties.discard) return BLK_CONFIG.discardSectorAlignment + 4;
  return BLK_CONFIG.maxDiscardSectors;
}

export interface Geometry {
  cylinders: number;
  heads: number;
  sectors: number;
}

/** A disk of this many sectors as QEMU guesses its geometry when it finds no partition table (hw/block/hd-geometry.c). */
export function guessGeometry(totalSectors: number): Geometry {
  const heads = 16;
  const sectors = 63;
  const cylinders = Math.floor(totalSectors / (heads * sectors));
  return { cylinders: Math.min(Math.max(cylinders, 2), 16383), heads, sectors };
}

/** What the driver is told: the given geometry or the guessed one, tracks cut to whole logical blocks where the disk is not. */
function geometryOf(bytes: number, properties: BlkProperties): Geometry {
  const { cylinders, heads, sectors, logicalBlockSize } = properties;
  const given = cylinders + heads + sectors > 0;
  const geometry = given ? { cylinders, heads, sectors } : guessGeometry(Math.floor(bytes / SECTOR));
  const track = Math.floor(Math.floor(bytes / geometry.heads) / geometry.sectors);
  const mask = logicalBlockSize / SECTOR - 1;
  return bytes > 0 && track % logicalBlockSize !== 0
    ? { ...geometry, sectors: geometry.sectors & ~mask }
    : geometry;
}

/** Boundaries on which ranges to erase begin and end, in sectors. */
export function eraseAlignment({ secureEraseGranularity, logicalBlockSize }: BlkProperties): number {
  return Math.ceil(Math.max(secureEraseGranularity, logicalBlockSize) / SECTOR);
}

/** `bytes`: the disk's size. `writeback`: the write cache is on. */
export function blkConfig(bytes: number, properties: BlkProperties, writeback: boolean): DataView {
  const view = new DataView(new ArrayBuffer(CONFIG_BYTES));
  const sectors = Math.floor(bytes / SECTOR);
  const { logicalBlockSize, physicalBlockSize } = properties;
  const geometry = geometryOf(bytes, properties);
  const segments = properties.segMaxAdjust ? Math.min(properties.queueSize, QUEUE_SIZE_MAX) - 2 : 126;
  view.setBigUint64(BLK_CONFIG.capacity, BigInt(sectors), true);
  view.setUint32(BLK_CONFIG.sizeMax, properties.sizeMax, true);
  view.setUint32(BLK_CONFIG.segMax, segments, true);
  view.setUint16(BLK_CONFIG.cylinders, geometry.cylinders, true);
  view.setUint8(BLK_CONFIG.heads, geometry.heads);
  view.setUint8(BLK_CONFIG.sectors, geometry.sectors);
  view.setUint32(BLK_CONFIG.blkSize, logicalBlockSize, true);
  view.setUint8(BLK_CONFIG.physicalBlockExp, Math.max(0, Math.log2(physicalBlockSize / logicalBlockSize)));
  view.setUint16(BLK_CONFIG.minIoSize, properties.minIoSize / logicalBlockSize, true);
  view.setUint32(BLK_CONFIG.optIoSize, properties.optIoSize / logicalBlockSize, true);
  view.setUint8(BLK_CONFIG.writeback, writeback ? 1 : 0);
  view.setUint16(BLK_CONFIG.numQueues, properties.numQueues, true);
  if (properties.discard) {
    view.setUint32(BLK_CONFIG.maxDiscardSectors, properties.maxDiscardSectors, true);
    view.setUint32(BLK_CONFIG.maxDiscardSeg, 1, true);
    const { discardGranularity, reportDiscardGranularity } = properties;
    const granularity =
      discardGranularity === -1 || !reportDiscardGranularity ? logicalBlockSize : discardGranularity;
    view.setUint32(BLK_CONFIG.discardSectorAlignment, Math.floor(granularity / SECTOR), true);
  }
  if (properties.writeZeroes) {
    view.setUint32(BLK_CONFIG.maxWriteZeroesSectors, properties.maxWriteZeroesSectors, true);
    view.setUint32(BLK_CONFIG.maxWriteZeroesSeg, 1, true);
    view.setUint8(BLK_CONFIG.writeZeroesMayUnmap, 1);
  }
  if (properties.secureErase) {
    view.setUint32(BLK_CONFIG.maxSecureEraseSectors, properties.maxSecureEraseSectors, true);
    view.setUint32(BLK_CONFIG.maxSecureEraseSeg, 1, true);
    view.setUint32(BLK_CONFIG.secureEraseSectorAlignment, eraseAlignment(properties), true);
  }
  return view;
}

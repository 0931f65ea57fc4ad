/** The properties of a SCSI disk or CD-ROM, with QEMU's names and defaults (`hw/scsi/scsi-disk.c`, `scsi-hd` and `scsi-cd`). */
import { ON_ERRORS, type OnError } from '../../block/on-error.ts';
import type { BlockNode } from '../../block/node.ts';

export interface ScsiDiskOptions {
  /** The medium; only a CD-ROM drive may be empty. */
  node?: BlockNode;
  /** `scsi-hd` is `disk`, `scsi-cd` is `cdrom`. */
  kind: 'disk' | 'cdrom';
  /** Bytes, a power of two from 512 to 32768. `logical_block_size`; 2048 for a CD-ROM. */
  logicalBlockSize?: number;
  physicalBlockSize?: number;
  vendor?: string;
  product?: string;
  /** `ver`: product revision level. */
  version?: string;
  serial?: string;
  /** `device_id`: VPD page 83h; the serial number, else the drive's id. */
  deviceId?: string;
  wwn?: bigint;
  portWwn?: bigint;
  portIndex?: number;
  removable?: boolean;
  dpofua?: boolean;
  /** Bytes; 0 means that nothing can be discarded. */
  discardGranularity?: number;
  minIoSize?: number;
  optIoSize?: number;
  maxUnmapSize?: number;
  maxIoSize?: number;
  /** Revolutions a minute, 1 for a solid-state disk, 0 for "not reported". */
  rotationRate?: number;
  writeCache?: boolean;
  /** `discard=unmap` of the drive: UNMAP reaches the node. Without it QEMU answers GOOD and does nothing. */
  unmap?: boolean;
  /** What becomes of errors of the host. */
  rerror?: OnError;
  werror?: OnError;
  cylinders?: number;
  heads?: number;
  sectors?: number;
}

type MayBeMissing = 'node' | 'serial' | 'deviceId' | 'wwn' | 'portWwn';
export type ResolvedOptions = Required<Omit<ScsiDiskOptions, MayBeMissing>> &
  Pick<ScsiDiskOptions, Exclude<MayBeMissing, 'node'>>;

/** QEMU's DEFAULT_DISCARD_GRANULARITY, bytes. */
const DISCARD_GRANULARITY = 4096;
/** QEMU's DEFAULT_MAX_UNMAP_SIZE, bytes: 1 GiB. */
const MAX_UNMAP_SIZE = 1 << 30;
/** QEMU's DEFAULT_MAX_IO_SIZE, bytes: 2 GiB less one. */
const MAX_IO_SIZE = 0x7fff_ffff;

/** Fills in QEMU's defaults; the geometry is the translation that QEMU guesses for a disk without a partition table. */
export function resolveOptions(options: ScsiDiskOptions): ResolvedOptions {
  const cdrom = options.kind === 'cdrom';
  const blockSize = options.logicalBlockSize ?? (cdrom ? 2048 : 512);
  const sectors = Math.floor((options.node?.virtualSize ?? 0) / 512);
  return {
    logicalBlockSize: blockSize,
    physicalBlockSize: blockSize,
    vendor: 'QEMU',
    product: cdrom ? 'QEMU CD-ROM' : 'QEMU HARDDISK',
    version: '2.5+',
    portIndex: 0,
    removable: cdrom,
    dpofua: false,
    discardGranularity: Math.max(blockSize, DISCARD_GRANULARITY),
    minIoSize: 0,
    optIoSize: 0,
    maxUnmapSize: MAX_UNMAP_SIZE,
    maxIoSize: MAX_IO_SIZE,
    rotationRate: 0,
    writeCache: true,
    unmap: true,
    ...ON_ERRORS,
    cylinders: Math.min(16383, Math.max(2, Math.floor(sectors / (16 * 63)))),
    heads: 16,
    sectors: 63,
    ...options,
    deviceId: options.deviceId ?? options.serial?.slice(0, 20),
  };
}

/** What the guest's drivers of ATA disks share, as Linux's libata: the identity, and the command for a request of the block layer. */
import { CMD, DEVICE, SECTOR } from '../ide/ata.ts';
import { OP } from '../trace/format.ts';
import type { BlockRequest } from './block-request.ts';

/** `BLK_DEF_MAX_SECTORS` of Linux: 1280 KiB. */
export const MAX_SECTORS = 2560;
/** `LIBATA_MAX_PRD`. */
export const MAX_SEGMENTS = 128;
const LBA28_SECTORS = 2 ** 28;
/** Most sectors of a command with 28 bits of address. */
const LBA28_COUNT = 256;
/** The transfer mode of SET FEATURES that the driver chooses. */
export const ULTRA_DMA_5 = 0x45;
/** Looks at a drive before the driver gives up. */
export const PATIENCE = 10_000;
/** `EIO` of Linux. */
export const EIO = 5;

export interface AtaIdentity {
  model: string;
  /** Sectors of 512 bytes. */
  sectors: number;
  lba48: boolean;
  flushExt: boolean;
  /** Sectors of one interrupt with READ and WRITE MULTIPLE, 0 without. */
  multiple: number;
  /** Places of the native command queue, 0 without. */
  queue: number;
}

/** What a driver knows of a drive that it has found. */
export interface FoundDrive {
  identity: AtaIdentity;
  /** A CD-ROM drive: everything but the probe goes through packets. */
  packets: boolean;
  /** Bytes of the disk or the disc; 0 without one. */
  capacity: number;
}

/** Reads the page of IDENTIFY DEVICE (ATA/ATAPI-7, section 6.17). */
export function parseIdentity(page: Uint8Array): AtaIdentity {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const word = (index: number): number => view.getUint16(index * 2, true);
  const lba48 = (word(83) & (1 << 10)) !== 0;
  const low = word(60) + word(61) * 0x1_0000;
  const high = word(100) + word(101) * 0x1_0000 + word(102) * 2 ** 32 + word(103) * 2 ** 48;
  const text = Array.from({ length: 40 }, (_, i) => String.fromCharCode(page[(27 * 2 + i) ^ 1])).join('');
  return {
    model: text.trim(),
    sectors: lba48 ? high : low,
    lba48,
    flushExt: (word(83) & (1 << 13)) !== 0,
    multiple: (word(59) & 0x100) === 0 ? 0 : word(59) & 0xff,
    queue: (word(76) & (1 << 8)) === 0 ? 0 : (word(75) & 31) + 1,
  };
}

/** A task file as it is written. */
export interface TaskFile {
  command: number;
  device: number;
  count: number;
  sector: number;
  /** With both halves. */
  ext: boolean;
  /** 0 without. */
  feature?: number;
}

/** The command of a request (libata's `ata_build_rw_tf`): the short form wherever address and count allow it. */
export function taskOf(
  { op, sector, sectors }: BlockRequest,
  identity: AtaIdentity,
  dma: boolean,
  second: boolean,
): TaskFile {
  const drive = DEVICE.obsolete | (second ? DEVICE.second : 0);
  if (op === OP.flush) {
    const command = identity.flushExt ? CMD.flushCacheExt : CMD.flushCache;
    return { command, device: drive, count: 0, sector: 0, ext: false };
  }
  const ext = sector + sectors > LBA28_SECTORS || sectors > LBA28_COUNT;
  const head = ext ? 0 : Math.floor(sector / 0x100_0000) & DEVICE.head;
  const command = (op === OP.read ? readCommand : writeCommand)(ext, dma, identity.multiple > 0);
  return { command, device: drive | DEVICE.lba | head, count: sectors, sector, ext };
}

function readCommand(ext: boolean, dma: boolean, multiple: boolean): number {
  if (dma) return ext ? CMD.readDmaExt : CMD.readDma;
  if (multiple) return ext ? CMD.readMultipleExt : CMD.readMultiple;
  return ext ? CMD.readExt : CMD.read;
}

function writeCommand(ext: boolean, dma: boolean, multiple: boolean): number {
  if (dma) return ext ? CMD.writeDmaExt : CMD.writeDma;
  if (multiple) return ext ? CMD.writeMultipleExt : CMD.writeMultiple;
  return ext ? CMD.writeExt : CMD.write;
}

/** A stretch of guest memory. */
export interface Segment {
  address: number;
  bytes: number;
}

/** The memory of a request, pieces that lie side by side put together. */
export function segmentsOf(request: BlockRequest): Segment[] {
  const segments: Segment[] = [];
  for (let bio = request.first; bio !== undefined; bio = bio.next) {
    const bytes = bio.sectors * SECTOR;
    const last = segments.at(-1);
    if (last !== undefined && last.address + last.bytes === bio.address) last.bytes += bytes;
    else segments.push({ address: bio.address, bytes });
  }
  return segments;
}

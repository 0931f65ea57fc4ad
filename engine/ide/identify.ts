/** IDENTIFY DEVICE and IDENTIFY PACKET DEVICE (ATA/ATAPI-7, sections 6.17 and 6.18), byte for byte as QEMU's drives answer. */
import { SECTOR } from './ata.ts';
import { MAX_MULTIPLE, type IdeDrive } from './drive.ts';
import { DRIVE_DEFAULTS } from './options.ts';

/** Words that commands change afterwards. */
export const WORD = { singleDma: 62, multiDma: 63, enabled85: 85, ultraDma: 88 } as const;
/** Words 82–87: what is supported and what is enabled. */
const NOP = 1 << 14;
const WRITE_CACHE = 1 << 5;
const SMART_ON = 1;
const ALWAYS = 1 << 14;
const FLUSH_AND_LBA48 = (1 << 13) | (1 << 12) | (1 << 10);
const HAS_WWN = 1 << 8;
const TRIM_IS_DETERMINATE = 1 << 14;
const DMA_AND_LBA = (1 << 9) | (1 << 8);
const LBA28_LIMIT = 2 ** 28;

class Page {
  readonly bytes = new Uint8Array(SECTOR);
  readonly #view = new DataView(this.bytes.buffer);

  /** Words from `index` on, 16 bits each. */
  set(index: number, ...values: number[]): void {
    values.forEach((value, i) => this.#view.setUint16((index + i) * 2, value & 0xffff, true));
  }

  /** A string: two characters a word, the first one in the upper byte, filled up with spaces. */
  text(index: number, text: string, length: number): void {
    for (let i = 0; i < length; i++) {
      this.bytes[(index * 2 + i) ^ 1] = i < text.length ? text.charCodeAt(i) & 0xff : 0x20;
    }
  }

  names(drive: IdeDrive): void {
    this.text(10, drive.serial, 20);
    this.set(20, 3, 512, 4);
    this.text(23, drive.version, 8);
    this.text(27, drive.model, 40);
  }

  wwn(wwn: bigint): void {
    for (let i = 0; i < 4; i++) this.set(108 + i, Number((wwn >> BigInt(48 - 16 * i)) & 0xffffn));
  }

  queue(drive: IdeDrive): void {
    if (drive.queueDepth > 0) this.set(75, drive.queueDepth - 1, 1 << 8);
  }
}

/** Word 85: the write cache is on or off. */
export function enabledWord(drive: IdeDrive): number {
  return NOP | SMART_ON | (drive.writeCache ? WRITE_CACHE : 0);
}

/** Writes one word of the identity that the drive keeps. */
export function patchIdentity(drive: IdeDrive, word: number, value: number): void {
  const { identity } = drive;
  if (identity !== undefined)
    new DataView(identity.buffer, identity.byteOffset).setUint16(word * 2, value, true);
}

/** IDENTIFY DEVICE. Made once; a drive keeps it and changes single words. */
export function identifyDisk(drive: IdeDrive): Uint8Array {
  const page = new Page();
  const { native, heads, track, sectors, options } = drive;
  const wwn = options.wwn ?? 0n;
  const named = wwn === 0n ? 0 : HAS_WWN;
  const old = native.cylinders * heads * track;
  const lba28 = Math.min(sectors, LBA28_LIMIT - 1);
  const trim = (options.discardGranularity ?? DRIVE_DEFAULTS.discardGranularity) > 0;
  const physical = options.physicalBlockSize ?? DRIVE_DEFAULTS.physicalBlockSize;
  page.set(0, 0x0040, native.cylinders, 0, heads, SECTOR * track, SECTOR, track);
  page.names(drive);
  page.set(47, 0x8000 | MAX_MULTIPLE, 1, (1 << 11) | DMA_AND_LBA);
  page.set(51, 0x200, 0x200, 7, native.cylinders, heads, track, old, old >>> 16);
  if (drive.multiple > 0) page.set(59, 0x100 | drive.multiple);
  page.set(60, lba28, lba28 >>> 16, 7, 7, 3, 120, 120, 120, 120);
  if (trim) page.set(69, TRIM_IS_DETERMINATE);
  page.queue(drive);
  page.set(80, 0xf0, 0x16, NOP | WRITE_CACHE | SMART_ON, ALWAYS | FLUSH_AND_LBA48, ALWAYS | named);
  page.set(85, enabledWord(drive), FLUSH_AND_LBA48, ALWAYS | named, 0x3f | (1 << 13));
  page.set(93, 1 | (1 << 14) | 0x2000);
  for (let i = 0; i < 4; i++) page.set(100 + i, Math.floor(sectors / 2 ** (16 * i)) % 0x1_0000);
  if (physical > 0) page.set(106, 0x6000 | Math.floor(Math.log2(physical / SECTOR)));
  if (wwn !== 0n) page.wwn(wwn);
  if (trim) page.set(169, 1);
  page.set(217, options.rotationRate ?? DRIVE_DEFAULTS.rotationRate);
  return page.bytes;
}

/** IDENTIFY PACKET DEVICE of a CD-ROM drive. */
export function identifyPacket(drive: IdeDrive): Uint8Array {
  const page = new Page();
  const wwn = drive.options.wwn ?? 0n;
  // Packet device, CD-ROM, removable, 50 µs, packets of 12 bytes.
  page.set(0, (2 << 14) | (5 << 8) | (1 << 7) | (2 << 5));
  page.names(drive);
  page.set(48, 1, DMA_AND_LBA);
  page.set(53, 7);
  page.set(62, 7, 7, 3, 0xb4, 0xb4, 0x12c, 0xb4);
  page.set(71, 30, 30);
  page.queue(drive);
  page.set(80, 0x1e);
  page.set(88, 0x3f | (1 << 13));
  if (wwn !== 0n) {
    page.set(84, HAS_WWN);
    page.set(87, HAS_WWN);
    page.wwn(wwn);
  }
  return page.bytes;
}

/**
 * The structures of a VHD (Microsoft, "Virtual Hard Disk Image Format Specification" 1.0; QEMU `block/vpc.c`): the footer, of which
 * dynamic and differencing disks keep a copy at the start, and the dynamic disk header. Big-endian.
 */
import { wait, type Steps } from '../../../maybe.ts';
import type { HeaderField } from '../../format.ts';
import type { VpcSize } from '../../image-tree.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkFields, isPowerOfTwo } from '../shared/check-fields.ts';
import {
  latin1,
  layout,
  raw,
  text,
  u16,
  u32,
  u64,
  u8,
  uuid,
  x32,
  x64,
  type Values,
} from '../shared/layout.ts';
import { readExactly, requireInside } from '../shared/storage-window.ts';
import { MAX_GEOMETRY } from './geometry.ts';

export const VHD_COOKIE = 'conectix';
export const VHD_DYNAMIC_COOKIE = 'cxsparse';
export const VHD_FIXED = 2;
export const VHD_DYNAMIC = 3;
export const VHD_DIFFERENCING = 4;
/** 2040 GiB, the most that Virtual PC and Hyper-V take, in sectors. */
export const VHD_MAX_SECTORS = 0xff000000;
/** Table entry of a block that is not there. */
export const VHD_UNALLOCATED = 0xffffffff;
/** QEMU's bound on the table: its bytes must fit into an `int`. */
export const MAX_ENTRIES = 0x1fffffff;
/** The creators whose images have the size that the footer states; all others mean the geometry (QEMU `vpc_open`). */
const SIZE_BY_FOOTER = new Set(['win ', 'qem2', 'd2v ', 'CTXS', 'tap']);

export const vhdFooter = layout('big', {
  creator: text(8),
  features: x32,
  version: x32,
  data_offset: x64,
  timestamp: u32,
  creator_app: text(4),
  major: u16,
  minor: u16,
  creator_os: text(4),
  orig_size: u64,
  current_size: u64,
  cyls: u16,
  heads: u8,
  secs_per_cyl: u8,
  type: u32,
  checksum: x32,
  uuid,
  in_saved_state: u8,
  reserved: raw(427),
});

export const vhdDynamicHeader = layout('big', {
  magic: text(8),
  data_offset: x64,
  table_offset: u64,
  version: x32,
  max_table_entries: u32,
  block_size: u32,
  checksum: x32,
  parent_uuid: uuid,
  parent_timestamp: u32,
  reserved: u32,
  parent_name: raw(512),
  parent_locator: raw(192),
  reserved2: raw(256),
});

export type VhdFooter = Values<(typeof vhdFooter)['fields']>;
export type VhdDynamicHeader = Values<(typeof vhdDynamicHeader)['fields']>;

export interface VhdHeaders {
  footer: VhdFooter;
  /** Byte offset of `footer` in the file. */
  footerOffset: number;
  /** Of dynamic and differencing disks. */
  dynamic?: VhdDynamicHeader;
  /** Byte offset of `dynamic`. */
  dynamicOffset: number;
  /** Bytes of the guest's disk. */
  virtualSize: number;
}

/** One's complement of the sum of all bytes outside the checksum field itself. */
export function vhdChecksum(structure: Uint8Array, checksumAt: number): number {
  let sum = 0;
  for (let i = 0; i < structure.length; i++) if (i < checksumAt || i >= checksumAt + 4) sum += structure[i];
  return ~sum >>> 0;
}

/** The footer as bytes with its checksum put right. */
export function encodeFooter(footer: VhdFooter): Uint8Array {
  const at = vhdFooter.offsetOf('checksum');
  return vhdFooter.encode({ ...footer, checksum: vhdChecksum(vhdFooter.encode(footer), at) });
}

/** The dynamic disk header as bytes with its checksum put right. */
export function encodeDynamic(header: VhdDynamicHeader): Uint8Array {
  const at = vhdDynamicHeader.offsetOf('checksum');
  return vhdDynamicHeader.encode({ ...header, checksum: vhdChecksum(vhdDynamicHeader.encode(header), at) });
}

/** Whether these 512 bytes are the footer of a fixed disk, checksum included. */
export function isFixedFooter(bytes: Uint8Array): boolean {
  if (bytes.length !== vhdFooter.size || latin1(bytes.subarray(0, 8)) !== VHD_COOKIE) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const at = vhdFooter.offsetOf('checksum');
  return (
    view.getUint32(vhdFooter.offsetOf('type')) === VHD_FIXED && view.getUint32(at) === vhdChecksum(bytes, at)
  );
}

/** Reads and checks footer and dynamic header. `wanted`: the size that is to count. Throws `vpc.bad-field`, `vpc.unsupported`, `vpc.truncated`. */
export function* readVhdHeaders(storage: Storage, wanted?: VpcSize): Steps<VhdHeaders> {
  const image = storage.name;
  const size = yield* wait(storage.size());
  // The end first: a fixed disk begins with bytes of the guest, who could write there whatever looks like a header.
  let footerOffset = size - vhdFooter.size;
  let bytes = yield* readExactly(storage, footerOffset, vhdFooter.size, 'vpc', 'footer');
  if (!isFixedFooter(bytes)) {
    footerOffset = 0;
    bytes = yield* readExactly(storage, 0, vhdFooter.size, 'vpc', 'footer');
    const cookie = latin1(bytes.subarray(0, 8));
    const start = checkFields('vpc', image, (name) => vhdFooter.find(name));
    start.field(
      'creator',
      cookie,
      cookie === VHD_COOKIE,
      `"${VHD_COOKIE}" here or, of a fixed disk, at the end`,
    );
  }
  const footer = vhdFooter.parse(bytes, image);
  const check = checkFields('vpc', image, (name) => at(vhdFooter.find(name), footerOffset));
  const sum = vhdChecksum(bytes, vhdFooter.offsetOf('checksum'));
  check.field('checksum', hex(footer.checksum), footer.checksum === sum, hex(sum));
  const growing = footer.type === VHD_DYNAMIC || footer.type === VHD_DIFFERENCING;
  const known = growing || isFixedFooter(bytes);
  check.unsupported(
    'type',
    footer.type,
    !known || (!growing && footerOffset === 0 && size > 512),
    '3 or 4 at the start, 2 at the end',
  );
  const sectors = diskSectors(footer, wanted);
  check.field('current_size', sectors * 512, sectors <= VHD_MAX_SECTORS, 'at most 2040 GiB');
  const virtualSize = sectors * 512;
  if (footer.type === VHD_FIXED) {
    requireInside(image, footerOffset, 0, virtualSize, 'vpc', 'disk before the footer');
    return { footer, footerOffset, dynamicOffset: 0, virtualSize };
  }
  const dynamicOffset = Number(footer.data_offset);
  check.field(
    'data_offset',
    footer.data_offset,
    dynamicOffset + vhdDynamicHeader.size <= size,
    'an offset within the file',
  );
  const dynamic = yield* readDynamic(storage, dynamicOffset, virtualSize, size);
  return { footer, footerOffset, dynamic, dynamicOffset, virtualSize };
}

function* readDynamic(
  storage: Storage,
  offset: number,
  virtualSize: number,
  size: number,
): Steps<VhdDynamicHeader> {
  const image = storage.name;
  const bytes = yield* readExactly(storage, offset, vhdDynamicHeader.size, 'vpc', 'dynamic disk header');
  const header = vhdDynamicHeader.parse(bytes, image);
  const check = checkFields('vpc', image, (name) => at(vhdDynamicHeader.find(name), offset));
  check.field('magic', header.magic, header.magic === VHD_DYNAMIC_COOKIE, `"${VHD_DYNAMIC_COOKIE}"`);
  const blockSize = header.block_size;
  check.field(
    'block_size',
    blockSize,
    isPowerOfTwo(blockSize) && blockSize >= 512,
    'a power of two, at least 512',
  );
  const entries = header.max_table_entries;
  check.field('max_table_entries', entries, entries <= MAX_ENTRIES, `at most ${MAX_ENTRIES}`);
  const needed = Math.ceil(virtualSize / blockSize);
  check.field(
    'max_table_entries',
    entries,
    entries >= needed,
    `at least ${needed} for a disk of ${virtualSize} bytes`,
  );
  requireInside(image, size, header.table_offset, entries * 4, 'vpc', 'block allocation table');
  return header;
}

/** The size that the guest sees, in sectors: by geometry or by `current_size`, as QEMU decides it. */
export function diskSectors(footer: VhdFooter, wanted?: VpcSize): number {
  return sizeIsByFooter(footer, wanted)
    ? Math.floor(footer.current_size / 512)
    : footer.cyls * footer.heads * footer.secs_per_cyl;
}

/** Whether `current_size` counts, and not the geometry. The largest geometry never counts: a larger disk has it, too. */
export function sizeIsByFooter(footer: VhdFooter, wanted?: VpcSize): boolean {
  const byGeometry = footer.cyls * footer.heads * footer.secs_per_cyl;
  if (byGeometry === MAX_GEOMETRY) return true;
  return wanted === undefined ? SIZE_BY_FOOTER.has(footer.creator_app) : wanted === 'current_size';
}

export function describeVhd(headers: VhdHeaders): HeaderField[] {
  const fields = vhdFooter.describe(headers.footer, headers.footerOffset);
  if (headers.dynamic === undefined) return fields;
  return [...fields, ...vhdDynamicHeader.describe(headers.dynamic, headers.dynamicOffset, 'dynamic.')];
}

function at(offset: number | undefined, base: number): number | undefined {
  return offset === undefined ? undefined : base + offset;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}

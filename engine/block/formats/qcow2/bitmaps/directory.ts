/** The bitmap directory (specification, "Bitmap directory"): which persistent bitmaps there are and where their tables lie. */
import { StructReader } from '../../../../bytes/reader.ts';
import { StructWriter } from '../../../../bytes/writer.ts';
import { PlatterError } from '../../../../errors.ts';
import { wait, type Steps } from '../../../../maybe.ts';
import type { Storage } from '../../../storage/storage.ts';
import { truncated } from '../errors.ts';
import type { BitmapsExtension } from '../extensions.ts';

export interface BitmapRecord {
  name: string;
  /** Whoever opened the image for writing last did not close it: the contents cannot be trusted. */
  inUse: boolean;
  /** Every write to the disk must be recorded in it (QEMU: an enabled bitmap). */
  auto: boolean;
  /** The remaining flags, as in the file. */
  otherFlags: number;
  /** Log2 of the bytes of the disk that one bit stands for. */
  granularityBits: number;
  tableOffset: number;
  /** Entries. */
  tableSize: number;
  extra: Uint8Array;
  /** Byte of the record in the file. */
  offset: number;
}

export const BITMAP_FLAG = { inUse: 1, auto: 2 } as const;
const FIXED = 24;
/** QEMU's BME_MAX_*: bitmaps, bytes of a directory, bytes of a name; granularities from 512 bytes to 2 GiB. */
export const MAX_BITMAPS = 65535;
const MAX_DIRECTORY = 64 << 20;
export const MAX_BITMAP_NAME = 1023;
export const MIN_GRANULARITY_BITS = 9;
export const MAX_GRANULARITY_BITS = 31;
const TYPE_TRACKING = 1;

/** Throws `qcow2.truncated` and `qcow2.bad-bitmap`. */
export function* readDirectory(storage: Storage, extension: BitmapsExtension): Steps<BitmapRecord[]> {
  const { directoryOffset, directorySize, count } = extension;
  const fileSize = yield* wait(storage.size());
  if (directorySize > MAX_DIRECTORY || count > MAX_BITMAPS) {
    throw badBitmap('bitmap_directory_size', directoryOffset, `${directorySize} bytes, ${count} bitmaps`);
  }
  if (directoryOffset + directorySize > fileSize) {
    throw truncated('bitmap directory', directoryOffset, directoryOffset + directorySize, fileSize);
  }
  const bytes = new Uint8Array(directorySize);
  yield* wait(storage.read(directoryOffset, bytes));
  const reader = new StructReader(bytes, { structure: 'bitmap directory', base: directoryOffset });
  const records: BitmapRecord[] = [];
  for (let at = 0, index = 0; index < count; index++) {
    const record = readRecord(reader, at, directoryOffset);
    records.push(record);
    at += recordLength(record);
  }
  return records;
}

function readRecord(reader: StructReader, at: number, base: number): BitmapRecord {
  const flags = reader.u32(at + 12, 'flags');
  const granularityBits = reader.u8(at + 17, 'granularity_bits');
  const nameSize = reader.u16(at + 18, 'name_size');
  const extraSize = reader.u32(at + 20, 'extra_data_size');
  const type = reader.u8(at + 16, 'type');
  if (type !== TYPE_TRACKING) throw badBitmap('type', base + at + 16, String(type));
  if (granularityBits < MIN_GRANULARITY_BITS || granularityBits > MAX_GRANULARITY_BITS) {
    throw badBitmap('granularity_bits', base + at + 17, String(granularityBits));
  }
  if (nameSize === 0 || nameSize > MAX_BITMAP_NAME)
    throw badBitmap('name_size', base + at + 18, String(nameSize));
  return {
    name: reader.text(at + FIXED + extraSize, nameSize, 'bitmap name'),
    inUse: (flags & BITMAP_FLAG.inUse) !== 0,
    auto: (flags & BITMAP_FLAG.auto) !== 0,
    otherFlags: (flags & ~(BITMAP_FLAG.inUse | BITMAP_FLAG.auto)) >>> 0,
    granularityBits,
    tableOffset: reader.u64(at, 'bitmap_table_offset'),
    tableSize: reader.u32(at + 8, 'bitmap_table_size'),
    extra: reader.bytes(at + FIXED, extraSize, 'extra data').slice(),
    offset: base + at,
  };
}

/** Bytes of one record, padding included. */
export function recordLength(record: BitmapRecord): number {
  const name = new TextEncoder().encode(record.name).length;
  return Math.ceil((FIXED + record.extra.length + name) / 8) * 8;
}

export function bitmapFlags(record: BitmapRecord): number {
  const own = (record.inUse ? BITMAP_FLAG.inUse : 0) | (record.auto ? BITMAP_FLAG.auto : 0);
  return (record.otherFlags | own) >>> 0;
}

/** The directory as it goes to byte `base` of the file; the records then know their new places. */
export function encodeDirectory(records: readonly BitmapRecord[], base: number): Uint8Array {
  const length = records.reduce((sum, record) => sum + recordLength(record), 0);
  const writer = new StructWriter(length, { structure: 'bitmap directory' });
  let at = 0;
  for (const record of records) {
    const name = new TextEncoder().encode(record.name);
    writer.u64(at, record.tableOffset, 'bitmap_table_offset');
    writer.u32(at + 8, record.tableSize, 'bitmap_table_size');
    writer.u32(at + 12, bitmapFlags(record), 'flags');
    writer.u8(at + 16, TYPE_TRACKING, 'type');
    writer.u8(at + 17, record.granularityBits, 'granularity_bits');
    writer.u16(at + 18, name.length, 'name_size');
    writer.u32(at + 20, record.extra.length, 'extra_data_size');
    writer.put(at + FIXED, record.extra);
    writer.put(at + FIXED + record.extra.length, name);
    record.offset = base + at;
    at += recordLength(record);
  }
  return writer.bytes;
}

export function badBitmap(field: string, offset: number, value: string): PlatterError {
  return new PlatterError(
    'qcow2.bad-bitmap',
    `The bitmap directory's ${field} at byte ${offset} cannot be ${value}`,
    { field, offset, value },
  );
}

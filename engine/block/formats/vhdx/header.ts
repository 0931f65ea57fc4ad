/**
 * The header section of a VHDX ([MS-VHDX] 2.2): file identifier, the two headers of which the younger valid one counts, and the
 * region table with its copy. Little-endian, the first MiB of the file.
 */
import { crc32c } from '../../../bytes/checksum.ts';
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import type { HeaderField } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkFields } from '../shared/check-fields.ts';
import { guid, layout, NIL_UUID, text, u16, u32, u64, x32, x64, type Values } from '../shared/layout.ts';
import { readExactly } from '../shared/storage-window.ts';

export const MIB = 1 << 20;
export const VHDX_SIGNATURE = 'vhdxfile';
export const HEADER_OFFSETS = [65536, 131072] as const;
export const REGION_TABLE_OFFSETS = [196608, 262144] as const;
/** Bytes that a header's checksum covers. */
export const HEADER_BYTES = 4096;
/** Bytes that a region table's checksum covers. */
export const REGION_TABLE_BYTES = 65536;
/** Byte offset of the checksum in headers, region tables and log entries. */
export const CHECKSUM_AT = 4;
export const BAT_REGION = '2dc27766-f623-4200-9d64-115e9bfd4a08';
export const METADATA_REGION = '8b7ca206-4790-4b9a-b8fe-575f050f886e';
const MAX_REGIONS = 2047;

export const vhdxHeader = layout('little', {
  signature: text(4),
  checksum: x32,
  sequence_number: x64,
  file_write_guid: guid,
  data_write_guid: guid,
  log_guid: guid,
  log_version: u16,
  version: u16,
  log_length: u32,
  log_offset: u64,
});

export const regionTableHeader = layout('little', {
  signature: text(4),
  checksum: x32,
  entry_count: u32,
  reserved: u32,
});

export const regionEntry = layout('little', {
  guid,
  file_offset: u64,
  length: u32,
  required: u32,
});

export type VhdxHeader = Values<(typeof vhdxHeader)['fields']>;

/** A stretch of the file that belongs to the format. Bytes. */
export interface Region {
  name: string;
  offset: number;
  length: number;
}

export interface VhdxHeaderSection {
  header: VhdxHeader;
  /** Which of the two headers is the current one. */
  current: 0 | 1;
}

export interface Regions {
  bat: Region;
  metadata: Region;
}

/** CRC-32C of a structure whose checksum field counts as zero. */
export function vhdxChecksum(structure: Uint8Array): number {
  const copy = structure.slice();
  copy.fill(0, CHECKSUM_AT, CHECKSUM_AT + 4);
  return crc32c(copy);
}

/** The structure with its checksum put in. */
export function sealed(structure: Uint8Array): Uint8Array {
  new DataView(structure.buffer, structure.byteOffset).setUint32(CHECKSUM_AT, vhdxChecksum(structure), true);
  return structure;
}

/** The current header ([MS-VHDX] 2.2.2). Throws `vhdx.no-header`, `vhdx.bad-field`, `vhdx.unsupported`, `vhdx.truncated`. */
export function* readHeaders(storage: Storage): Steps<VhdxHeaderSection> {
  const image = storage.name;
  const identifier = yield* readExactly(storage, 0, 8, 'vhdx', 'file identifier');
  const signature = String.fromCharCode(...identifier);
  const check = checkFields('vhdx', image);
  check.field('signature', signature, signature === VHDX_SIGNATURE, `"${VHDX_SIGNATURE}"`);
  const first = yield* readHeader(storage, HEADER_OFFSETS[0]);
  const second = yield* readHeader(storage, HEADER_OFFSETS[1]);
  // Disk2vhd writes two equal headers: the first one is as good as the other.
  const current =
    first === undefined || (second !== undefined && second.sequence_number > first.sequence_number) ? 1 : 0;
  const header = current === 0 ? first : second;
  if (header === undefined) {
    throw new PlatterError('vhdx.no-header', `Neither of the two headers of "${image}" is valid`, {
      image,
      field: 'checksum',
      offset: HEADER_OFFSETS[0],
      hint: 'The file is damaged: get another copy.',
    });
  }
  checkHeader(header, image, HEADER_OFFSETS[current]);
  return { header, current };
}

function* readHeader(storage: Storage, offset: number): Steps<VhdxHeader | undefined> {
  const bytes = yield* readExactly(storage, offset, HEADER_BYTES, 'vhdx', 'header');
  const stored = new DataView(bytes.buffer).getUint32(CHECKSUM_AT, true);
  if (String.fromCharCode(...bytes.subarray(0, 4)) !== 'head' || stored !== vhdxChecksum(bytes))
    return undefined;
  return vhdxHeader.parse(bytes, storage.name);
}

function checkHeader(header: VhdxHeader, image: string, offset: number): void {
  const check = checkFields('vhdx', image, (field) => offset + (vhdxHeader.find(field) ?? NaN));
  check.unsupported('version', header.version, header.version !== 1, '1');
  if (header.log_guid === NIL_UUID) return;
  check.unsupported('log_version', header.log_version, header.log_version !== 0, '0');
  const { log_offset: start, log_length: length } = header;
  check.field('log_offset', start, start >= MIB && start % MIB === 0, 'a multiple of 1 MiB, at least 1 MiB');
  check.field(
    'log_length',
    length,
    length >= MIB && length % MIB === 0,
    'a multiple of 1 MiB, at least 1 MiB',
  );
}

/** The two regions that every image has ([MS-VHDX] 2.2.3), from the first table or its copy. Throws `vhdx.bad-field`, … */
export function* readRegions(storage: Storage, header: VhdxHeader): Steps<Regions> {
  const image = storage.name;
  const bytes = (yield* readTable(storage, 0)) ?? (yield* readTable(storage, 1));
  if (bytes === undefined) {
    throw new PlatterError('vhdx.no-region-table', `Neither region table of "${image}" is valid`, {
      image,
      field: 'checksum',
      offset: REGION_TABLE_OFFSETS[0],
      hint: 'The file is damaged: get another copy.',
    });
  }
  const count = regionTableHeader.parse(bytes, image).entry_count;
  const base = REGION_TABLE_OFFSETS[0];
  const check = checkFields('vhdx', image, (field) => base + (regionTableHeader.find(field) ?? NaN));
  check.field('entry_count', count, count <= MAX_REGIONS, `at most ${MAX_REGIONS}`);
  const taken: Region[] = [{ name: 'header section', offset: 0, length: MIB }];
  if (header.log_length > 0)
    taken.push({ name: 'log', offset: header.log_offset, length: header.log_length });
  const found = new Map<string, Region>();
  for (let index = 0; index < count; index++) {
    const at = regionTableHeader.size + index * regionEntry.size;
    const entry = regionEntry.parse(bytes, image, at);
    const region = { name: regionName(entry.guid), offset: entry.file_offset, length: entry.length };
    checkRegion(region, taken, image, base + at);
    taken.push(region);
    const known = entry.guid === BAT_REGION || entry.guid === METADATA_REGION;
    check.unsupported(
      `region ${entry.guid}`,
      'required',
      !known && (entry.required & 1) !== 0,
      'a known region',
    );
    if (found.has(entry.guid) && known)
      check.field(`region ${entry.guid}`, 'listed twice', false, 'one entry');
    found.set(entry.guid, region);
  }
  return { bat: needRegion(found, BAT_REGION, image), metadata: needRegion(found, METADATA_REGION, image) };
}

/** Another place for the table of blocks, in the copy of the region table first, so that a valid one exists at any moment. */
export function* moveBatRegion(storage: Storage, to: Omit<Region, 'name'>): Steps<void> {
  for (const copy of [1, 0] as const) {
    const bytes = (yield* readTable(storage, copy)) ?? (yield* readTable(storage, copy === 1 ? 0 : 1));
    if (bytes === undefined) continue;
    const count = regionTableHeader.parse(bytes, storage.name).entry_count;
    for (let index = 0; index < count; index++) {
      const at = regionTableHeader.size + index * regionEntry.size;
      const entry = regionEntry.parse(bytes, storage.name, at);
      if (entry.guid !== BAT_REGION) continue;
      bytes.set(regionEntry.encode({ ...entry, file_offset: to.offset, length: to.length }), at);
    }
    sealed(bytes);
    // What follows the entries is as it was: a write within one sector is whole or not at all.
    const used = regionTableHeader.size + count * regionEntry.size;
    yield* wait(storage.write(REGION_TABLE_OFFSETS[copy], bytes.subarray(0, used)));
    yield* wait(storage.flush());
  }
}

function* readTable(storage: Storage, copy: 0 | 1): Steps<Uint8Array | undefined> {
  const offset = REGION_TABLE_OFFSETS[copy];
  const bytes = yield* readExactly(storage, offset, REGION_TABLE_BYTES, 'vhdx', 'region table');
  const header = regionTableHeader.parse(bytes, storage.name);
  return header.signature === 'regi' && header.checksum === vhdxChecksum(bytes) ? bytes : undefined;
}

function regionName(id: string): string {
  if (id === BAT_REGION) return 'block allocation table';
  return id === METADATA_REGION ? 'metadata' : `region ${id}`;
}

function checkRegion(region: Region, taken: readonly Region[], image: string, offset: number): void {
  const check = checkFields('vhdx', image, () => offset);
  const aligned = region.offset % MIB === 0 && region.offset >= MIB && region.length % MIB === 0;
  check.field('file_offset', region.offset, aligned, `multiples of 1 MiB for the ${region.name}`);
  const other = taken.find((one) => overlaps(one, region.offset, region.length));
  check.field('file_offset', region.offset, other === undefined, `no overlap with the ${other?.name}`);
}

/** Whether `length` bytes at `offset` touch the region. */
export function overlaps(region: Region, offset: number, length: number): boolean {
  return offset < region.offset + region.length && region.offset < offset + length;
}

function needRegion(found: ReadonlyMap<string, Region>, id: string, image: string): Region {
  const region = found.get(id);
  if (region !== undefined) return region;
  throw new PlatterError('vhdx.bad-field', `The region table of "${image}" lists no ${regionName(id)}`, {
    image,
    field: 'region table',
    offset: REGION_TABLE_OFFSETS[0],
    expected: regionName(id),
  });
}

export function describeHeaders(section: VhdxHeaderSection, regions: Regions): HeaderField[] {
  const region = (one: Region, name: string): HeaderField => ({
    name,
    offset: one.offset,
    length: one.length,
    value: `${one.length} bytes at ${one.offset}`,
  });
  return [
    { name: 'signature', offset: 0, length: 8, value: VHDX_SIGNATURE },
    ...vhdxHeader.describe(section.header, HEADER_OFFSETS[section.current], 'header.'),
    region(regions.bat, 'region.bat'),
    region(regions.metadata, 'region.metadata'),
  ];
}

/** Writes a changed header over the older one and then over the other, so that a valid one exists at any moment. */
export function* updateHeaders(
  storage: Storage,
  section: VhdxHeaderSection,
  change: Partial<VhdxHeader>,
): Steps<void> {
  for (let round = 0; round < 2; round++) {
    const next = section.current === 0 ? 1 : 0;
    section.header = { ...section.header, ...change, sequence_number: section.header.sequence_number + 1n };
    const bytes = new Uint8Array(HEADER_BYTES);
    bytes.set(vhdxHeader.encode(section.header));
    yield* wait(storage.write(HEADER_OFFSETS[next], sealed(bytes)));
    yield* wait(storage.flush());
    section.current = next;
  }
}

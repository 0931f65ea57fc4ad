/** The metadata region ([MS-VHDX] 2.6): block size, disk size, sector sizes, identifier, and the parent's whereabouts. */
import { PlatterError } from '../../../errors.ts';
import type { Steps } from '../../../maybe.ts';
import type { HeaderField } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkFields, isPowerOfTwo } from '../shared/check-fields.ts';
import { guid, layout, text, u16, u32, u64, x32 } from '../shared/layout.ts';
import { readExactly } from '../shared/storage-window.ts';
import { MIB, type Region } from './header.ts';

export const FILE_PARAMETERS = 'caa16737-fa36-4d43-b3b6-33f0aa44e76b';
export const VIRTUAL_DISK_SIZE = '2fa54224-cd1b-4876-b211-5dbed83bf4b8';
export const PAGE_83 = 'beca12ab-b2e6-4523-93ef-c309e000c746';
export const LOGICAL_SECTOR_SIZE = '8141bf1d-a96f-4709-ba47-f233a8faab5f';
export const PHYSICAL_SECTOR_SIZE = 'cda348c7-445d-4471-9cc9-e9885251c556';
export const PARENT_LOCATOR = 'a8d35f2d-b30b-454d-abf7-d3d84834ab0c';

export const METADATA_TABLE_BYTES = 65536;
export const MAX_DISK = 64 * 2 ** 40;
export const MAX_BLOCK = 256 * MIB;
/** Bits of `file_parameters.flags`. */
export const LEAVE_ALLOCATED = 1;
export const HAS_PARENT = 2;
const MAX_ENTRIES = 2047;
const REQUIRED = 4;

export const metadataTable = layout('little', {
  signature: text(8),
  reserved: u16,
  entry_count: u16,
});
export const METADATA_HEADER_BYTES = 32;
export const metadataEntry = layout('little', {
  item_id: guid,
  offset: u32,
  length: u32,
  flags: x32,
  reserved2: u32,
});
export const fileParameters = layout('little', { block_size: u32, flags: x32 });
export const diskSizeItem = layout('little', { virtual_disk_size: u64 });
export const sectorSizeItem = layout('little', { sector_size: u32 });
export const page83Item = layout('little', { page_83_data: guid });

export interface VhdxMetadata {
  /** Bytes. */
  blockSize: number;
  flags: number;
  /** Bytes. */
  diskSize: number;
  /** Where the file says so; 0 before there is one. */
  diskSizeAt: number;
  /** Bytes, 512 or 4096. */
  logicalSectorSize: number;
  physicalSectorSize: number;
  /** The parent locator's bytes, of a differencing disk. */
  parentLocator?: Uint8Array;
  fields: HeaderField[];
}

interface Item {
  /** Byte offset in the file. */
  offset: number;
  bytes: Uint8Array;
}

/** Throws `vhdx.bad-field`, `vhdx.unsupported`, `vhdx.truncated`. */
export function* readMetadata(storage: Storage, region: Region): Steps<VhdxMetadata> {
  const image = storage.name;
  const items = yield* readItems(storage, region);
  const fields: HeaderField[] = [];
  const one = <T>(id: string, name: string, parse: (item: Item) => T): T => {
    const item = items.get(id);
    if (item !== undefined) return parse(item);
    throw new PlatterError('vhdx.bad-field', `The metadata of "${image}" lacks the ${name}`, {
      image,
      field: name,
      offset: region.offset,
      expected: id,
    });
  };
  const parameters = one(FILE_PARAMETERS, 'file parameters', (item) => {
    const values = fileParameters.parse(item.bytes, image);
    fields.push(...fileParameters.describe(values, item.offset));
    return values;
  });
  const disk = one(VIRTUAL_DISK_SIZE, 'virtual disk size', (item) => {
    const values = diskSizeItem.parse(item.bytes, image);
    fields.push(...diskSizeItem.describe(values, item.offset));
    return { ...values, offset: item.offset };
  });
  const sector = (id: string, name: string): number =>
    one(id, name, (item) => {
      const values = sectorSizeItem.parse(item.bytes, image);
      fields.push(...sectorSizeItem.describe(values, item.offset, `${name} `));
      return values.sector_size;
    });
  const metadata: VhdxMetadata = {
    blockSize: parameters.block_size,
    flags: parameters.flags,
    diskSize: disk.virtual_disk_size,
    diskSizeAt: disk.offset,
    logicalSectorSize: sector(LOGICAL_SECTOR_SIZE, 'logical'),
    physicalSectorSize: sector(PHYSICAL_SECTOR_SIZE, 'physical'),
    parentLocator: items.get(PARENT_LOCATOR)?.bytes,
    fields,
  };
  checkMetadata(metadata, image);
  return metadata;
}

function checkMetadata(metadata: VhdxMetadata, image: string): void {
  const offsets = new Map(metadata.fields.map((field) => [field.name, field.offset]));
  const check = checkFields('vhdx', image, (field) => offsets.get(field));
  const { blockSize, logicalSectorSize: logical, physicalSectorSize: physical, diskSize } = metadata;
  const goodBlock = isPowerOfTwo(blockSize) && blockSize >= MIB && blockSize <= MAX_BLOCK;
  check.field('block_size', blockSize, goodBlock, 'a power of two from 1 MiB to 256 MiB');
  check.field('logical sector_size', logical, logical === 512 || logical === 4096, '512 or 4096');
  check.field('physical sector_size', physical, physical === 512 || physical === 4096, '512 or 4096');
  const goodSize = diskSize <= MAX_DISK && diskSize % logical === 0;
  check.field('virtual_disk_size', diskSize, goodSize, `whole sectors of ${logical} bytes, at most 64 TiB`);
}

function* readItems(storage: Storage, region: Region): Steps<Map<string, Item>> {
  const image = storage.name;
  const bytes = yield* readExactly(storage, region.offset, METADATA_TABLE_BYTES, 'vhdx', 'metadata table');
  const header = metadataTable.parse(bytes, image);
  const check = checkFields('vhdx', image, (field) => region.offset + (metadataTable.find(field) ?? NaN));
  check.field('signature', header.signature, header.signature === 'metadata', '"metadata"');
  check.field('entry_count', header.entry_count, header.entry_count <= MAX_ENTRIES, `at most ${MAX_ENTRIES}`);
  const known = new Set([
    FILE_PARAMETERS,
    VIRTUAL_DISK_SIZE,
    PAGE_83,
    LOGICAL_SECTOR_SIZE,
    PHYSICAL_SECTOR_SIZE,
    PARENT_LOCATOR,
  ]);
  const items = new Map<string, Item>();
  for (let index = 0; index < header.entry_count; index++) {
    const at = METADATA_HEADER_BYTES + index * metadataEntry.size;
    const entry = metadataEntry.parse(bytes, image, at);
    const place = checkFields(
      'vhdx',
      image,
      (field) => region.offset + at + (metadataEntry.find(field) ?? NaN),
    );
    if (!known.has(entry.item_id)) {
      place.unsupported('item_id', entry.item_id, (entry.flags & REQUIRED) !== 0, 'a known item');
      continue;
    }
    place.field('item_id', entry.item_id, !items.has(entry.item_id), 'one entry for each item');
    const inside = entry.offset >= METADATA_TABLE_BYTES && entry.offset + entry.length <= region.length;
    place.field('offset', entry.offset, inside, 'an item within the metadata region, after its table');
    place.field('length', entry.length, entry.length <= MIB, 'at most 1 MiB');
    const offset = region.offset + entry.offset;
    const item = yield* readExactly(storage, offset, entry.length, 'vhdx', 'metadata item');
    items.set(entry.item_id, { offset, bytes: item });
  }
  return items;
}

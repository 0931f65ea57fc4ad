/** An empty VHDX, dynamic or fixed, with QEMU's choices of block and log size. */
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { CreateOptions } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { alignUp, isPowerOfTwo } from '../shared/check-fields.ts';
import { NIL_UUID } from '../shared/layout.ts';
import { byteSize, choice, diskSize, flag, knownOptions } from '../shared/options.ts';
import { batEntries, chunkRatio, FULLY_PRESENT, NOT_PRESENT, ZERO_BLOCK } from './blocks.ts';
import {
  BAT_REGION,
  HEADER_BYTES,
  HEADER_OFFSETS,
  METADATA_REGION,
  MIB,
  REGION_TABLE_BYTES,
  REGION_TABLE_OFFSETS,
  regionEntry,
  regionTableHeader,
  sealed,
  VHDX_SIGNATURE,
  vhdxHeader,
} from './header.ts';
import {
  diskSizeItem,
  FILE_PARAMETERS,
  fileParameters,
  LEAVE_ALLOCATED,
  LOGICAL_SECTOR_SIZE,
  MAX_BLOCK,
  MAX_DISK,
  METADATA_HEADER_BYTES,
  METADATA_TABLE_BYTES,
  metadataEntry,
  metadataTable,
  PAGE_83,
  page83Item,
  PHYSICAL_SECTOR_SIZE,
  sectorSizeItem,
  VIRTUAL_DISK_SIZE,
  type VhdxMetadata,
} from './metadata.ts';

const GIB = 2 ** 30;
/** Room between the metadata and the first block, as QEMU leaves it. */
const SPARE = 4 * MIB;
/** Table entries written at once. */
const CHUNK = 8192;

interface Plan {
  metadata: VhdxMetadata;
  logSize: number;
  fixed: boolean;
  /** State of blocks that are not there. */
  absent: number;
}

/** Options: `size`, `subformat` (dynamic or fixed), `block_size` (0: by disk size), `log_size`, `block_state_zero`. */
export function createVhdx(storage: Storage, options: CreateOptions): Maybe<void> {
  knownOptions('vhdx', options, ['subformat', 'block_size', 'log_size', 'block_state_zero']);
  return run(steps(storage, plan(options)));
}

function plan(options: CreateOptions): Plan {
  const fixed = choice(options, 'subformat', ['dynamic', 'fixed']) === 'fixed';
  const size = diskSize(options, MAX_DISK);
  const asked = alignUp(
    byteSize(options, 'block_size', 0, () => true, 'bytes'),
    MIB,
  );
  const blockSize = asked === 0 ? defaultBlockSize(size) : Math.min(asked, MAX_BLOCK);
  byteSize(
    { size, block_size: blockSize },
    'block_size',
    0,
    isPowerOfTwo,
    'a power of two from 1 MiB to 256 MiB',
  );
  const fits = (bytes: number): boolean => bytes > 0 && bytes < 2 ** 32 - MIB;
  const logSize = alignUp(
    byteSize(options, 'log_size', MIB, fits, 'at least 1 MiB and less than 4 GiB'),
    MIB,
  );
  const metadata: VhdxMetadata = {
    blockSize,
    flags: fixed ? LEAVE_ALLOCATED : 0,
    diskSize: size,
    diskSizeAt: 0,
    logicalSectorSize: 512,
    physicalSectorSize: 512,
    fields: [],
  };
  return {
    metadata,
    logSize,
    fixed,
    absent: flag(options, 'block_state_zero', true) ? ZERO_BLOCK : NOT_PRESENT,
  };
}

/** QEMU's choice: tables that fit into memory. Bytes. */
function defaultBlockSize(size: number): number {
  if (size > 32 * 1024 * GIB) return 64 * MIB;
  if (size > 100 * GIB) return 32 * MIB;
  return size > GIB ? 16 * MIB : 8 * MIB;
}

function* steps(storage: Storage, given: Plan): Steps<void> {
  const { metadata, logSize } = given;
  const batOffset = MIB + logSize;
  const batBytes = Math.max(MIB, alignUp(batEntries(metadata) * 8, MIB));
  const metadataOffset = batOffset + batBytes;
  const dataOffset = metadataOffset + MIB + SPARE;
  const blocks = Math.ceil(metadata.diskSize / metadata.blockSize);
  yield* wait(storage.truncate(dataOffset + (given.fixed ? blocks * metadata.blockSize : 0)));
  yield* writeTable(storage, given, batOffset, blocks, dataOffset);
  yield* wait(storage.write(metadataOffset, metadataRegion(metadata)));
  const regions = regionTable(batOffset, batBytes, metadataOffset);
  for (const offset of REGION_TABLE_OFFSETS) yield* wait(storage.write(offset, regions));
  for (const [index, offset] of HEADER_OFFSETS.entries()) {
    yield* wait(storage.write(offset, header(BigInt(index + 1), logSize)));
  }
  // The identifier last: a half-written file is no VHDX.
  yield* wait(storage.write(8, new TextEncoder().encode('P\0l\0a\0t\0t\0e\0r\0')));
  yield* wait(storage.write(0, new TextEncoder().encode(VHDX_SIGNATURE)));
}

function* writeTable(
  storage: Storage,
  given: Plan,
  offset: number,
  blocks: number,
  dataOffset: number,
): Steps<void> {
  if (!given.fixed && given.absent === NOT_PRESENT) return;
  const { blockSize } = given.metadata;
  const ratio = chunkRatio(given.metadata);
  const entries = batEntries(given.metadata);
  for (let first = 0; first < entries; first += CHUNK) {
    const count = Math.min(CHUNK, entries - first);
    const view = new DataView(new ArrayBuffer(count * 8));
    for (let i = 0; i < count; i++) {
      const index = first + i;
      const block = index - Math.floor(index / (ratio + 1));
      const bitmap = index % (ratio + 1) === ratio;
      if (bitmap || block >= blocks) continue;
      const value = given.fixed ? dataOffset + block * blockSize + FULLY_PRESENT : given.absent;
      view.setBigUint64(i * 8, BigInt(value), true);
    }
    yield* wait(storage.write(offset + first * 8, new Uint8Array(view.buffer)));
  }
}

function header(sequence: bigint, logSize: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  bytes.set(
    vhdxHeader.encode({
      signature: 'head',
      checksum: 0,
      sequence_number: sequence,
      file_write_guid: globalThis.crypto.randomUUID(),
      data_write_guid: globalThis.crypto.randomUUID(),
      log_guid: NIL_UUID,
      log_version: 0,
      version: 1,
      log_length: logSize,
      log_offset: MIB,
    }),
  );
  return sealed(bytes);
}

function regionTable(batOffset: number, batBytes: number, metadataOffset: number): Uint8Array {
  const bytes = new Uint8Array(REGION_TABLE_BYTES);
  bytes.set(regionTableHeader.encode({ signature: 'regi', checksum: 0, entry_count: 2, reserved: 0 }));
  const entry = (guid: string, offset: number, length: number): Uint8Array =>
    regionEntry.encode({ guid, file_offset: offset, length, required: 1 });
  bytes.set(entry(BAT_REGION, batOffset, batBytes), regionTableHeader.size);
  bytes.set(entry(METADATA_REGION, metadataOffset, MIB), regionTableHeader.size + regionEntry.size);
  return sealed(bytes);
}

function metadataRegion(metadata: VhdxMetadata): Uint8Array {
  const items: [string, number, Uint8Array][] = [
    [FILE_PARAMETERS, 4, fileParameters.encode({ block_size: metadata.blockSize, flags: metadata.flags })],
    [VIRTUAL_DISK_SIZE, 6, diskSizeItem.encode({ virtual_disk_size: metadata.diskSize })],
    [PAGE_83, 6, page83Item.encode({ page_83_data: globalThis.crypto.randomUUID() })],
    [LOGICAL_SECTOR_SIZE, 6, sectorSizeItem.encode({ sector_size: metadata.logicalSectorSize })],
    [PHYSICAL_SECTOR_SIZE, 6, sectorSizeItem.encode({ sector_size: metadata.physicalSectorSize })],
  ];
  const bytes = new Uint8Array(METADATA_TABLE_BYTES + 4096);
  bytes.set(metadataTable.encode({ signature: 'metadata', reserved: 0, entry_count: items.length }));
  let offset = METADATA_TABLE_BYTES;
  for (const [index, [item_id, flags, value]] of items.entries()) {
    const entry = metadataEntry.encode({ item_id, offset, length: value.length, flags, reserved2: 0 });
    bytes.set(entry, METADATA_HEADER_BYTES + index * metadataEntry.size);
    bytes.set(value, offset);
    offset += value.length;
  }
  return bytes;
}

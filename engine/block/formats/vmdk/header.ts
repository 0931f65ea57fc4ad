/**
 * Headers of sparse extents: VMDK 4 ("KDMV", hosted products and streamOptimized), COWD (vmfsSparse) and seSparse (ESX). Little-endian
 * (VMware, "Virtual Disk Format 5.0"; QEMU `block/vmdk.c`; seSparse is known from QEMU alone).
 */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import type { HeaderField } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkFields, type FieldCheck } from '../shared/check-fields.ts';
import { layout, raw, text, u16, u32, u64, u8, x32, x64, type Values } from '../shared/layout.ts';
import { readExactly, requireInside } from '../shared/storage-window.ts';

export const VMDK4_MAGIC = 'KDMV';
export const COWD_MAGIC = 'COWD';
export const SESPARSE_MAGIC = 0xcafebaben;
const SESPARSE_VOLATILE_MAGIC = 0xcafecafen;
const SESPARSE_VERSION = 0x0000000200000001n;

export const FLAG_NEWLINE_TEST = 1;
export const FLAG_REDUNDANT_TABLE = 2;
export const FLAG_ZERO_GRAIN = 4;
export const FLAG_COMPRESSED = 0x10000;
export const FLAG_MARKERS = 0x20000;
export const DEFLATE = 1;
const GD_AT_END = 0xffffffffffffffffn;
/** QEMU's bounds: a grain of 1 GiB, a directory of 32 million entries. Grains in sectors. */
const MAX_GRAIN = 0x200000;
const MAX_DIRECTORY = 32 << 20;
/** Sectors of the largest sparse extent, 64 TiB. */
export const MAX_CAPACITY = 2 ** 37;

export const vmdk4Header = layout('little', {
  magic: text(4),
  version: u32,
  flags: x32,
  capacity: u64,
  granularity: u64,
  desc_offset: u64,
  desc_size: u64,
  num_gtes_per_gt: u32,
  rgd_offset: u64,
  gd_offset: x64,
  grain_offset: u64,
  filler: u8,
  check_bytes: raw(4),
  compress_algorithm: u16,
});
export const cowdHeader = layout('little', {
  magic: text(4),
  version: u32,
  flags: x32,
  disk_sectors: u32,
  granularity: u32,
  l1dir_offset: u32,
  l1dir_size: u32,
  file_sectors: u32,
  cylinders: u32,
  heads: u32,
  sectors_per_track: u32,
});
export const sesparseHeader = layout('little', {
  magic: x64,
  version: x64,
  capacity: u64,
  grain_size: u64,
  grain_table_size: u64,
  flags: x64,
  reserved: raw(32),
  volatile_header_offset: u64,
  volatile_header_size: u64,
  journal_header_offset: u64,
  journal_header_size: u64,
  journal_offset: u64,
  journal_size: u64,
  grain_dir_offset: u64,
  grain_dir_size: u64,
  grain_tables_offset: u64,
  grain_tables_size: u64,
  free_bitmap_offset: u64,
  free_bitmap_size: u64,
  backmap_offset: u64,
  backmap_size: u64,
  grains_offset: u64,
  grains_size: u64,
});
const sesparseVolatile = layout('little', {
  magic: x64,
  free_gt_number: x64,
  next_txn_seq_number: x64,
  replay_journal: x64,
});

export type Vmdk4Header = Values<(typeof vmdk4Header)['fields']>;

/** What reading a sparse extent takes, whichever header it has. Sizes and offsets in bytes unless they say otherwise. */
export interface SparseLayout {
  kind: 'vmdk4' | 'cowd' | 'sesparse';
  capacity: number;
  grain: number;
  /** Entries of one grain table. */
  tableEntries: number;
  directory: number;
  /** The second directory, or 0. */
  backupDirectory: number;
  compressed: boolean;
  markers: boolean;
  /** Entry 1 of a table means a grain of zeroes. */
  zeroGrain: boolean;
  version: number;
  /** The embedded descriptor, or length 0. */
  descriptor: { offset: number; length: number };
  /** seSparse: where tables and grains begin. */
  tables: number;
  grains: number;
  fields: HeaderField[];
}

/** The layout that the extent's header states. Throws `vmdk.bad-field`, `vmdk.unsupported`, `vmdk.truncated`. */
export function* readSparseHeader(storage: Storage, readOnly: boolean): Steps<SparseLayout> {
  const bytes = yield* readExactly(storage, 0, 512, 'vmdk', 'header');
  const magic = String.fromCharCode(...bytes.subarray(0, 4));
  const size = yield* wait(storage.size());
  let found: SparseLayout;
  if (magic === VMDK4_MAGIC) found = yield* readVmdk4(storage, bytes, size, readOnly);
  else if (magic === COWD_MAGIC) found = readCowd(storage.name, bytes);
  else if (new DataView(bytes.buffer).getBigUint64(0, true) === SESPARSE_MAGIC)
    found = yield* readSesparse(storage, bytes);
  else {
    throw new PlatterError('vmdk.bad-field', `"${storage.name}" is no sparse VMDK extent`, {
      image: storage.name,
      field: 'magic',
      offset: 0,
      value: magic.replace(/[^ -~]/g, '.'),
      expected: `${VMDK4_MAGIC}, ${COWD_MAGIC} or seSparse`,
    });
  }
  const check = checkFields('vmdk', storage.name);
  const directory = Math.ceil(found.capacity / (found.grain * found.tableEntries));
  check.field(
    'grain directory size',
    directory,
    directory <= MAX_DIRECTORY,
    `at most ${MAX_DIRECTORY} entries`,
  );
  const entryBytes = found.kind === 'sesparse' ? 8 : 4;
  for (const offset of [found.directory, found.backupDirectory]) {
    if (offset !== 0)
      requireInside(storage.name, size, offset, directory * entryBytes, 'vmdk', 'grain directory');
  }
  return found;
}

function* readVmdk4(
  storage: Storage,
  bytes: Uint8Array,
  size: number,
  readOnly: boolean,
): Steps<SparseLayout> {
  const image = storage.name;
  let base = 0;
  let header = vmdk4Header.parse(bytes, image);
  const embedded = { offset: header.desc_offset * 512, length: header.desc_size * 512 };
  if (header.gd_offset === GD_AT_END) {
    base = Math.floor(size / 512) * 512 - 1024;
    header = vmdk4Header.parse(yield* readFooter(storage, base), image, 512);
  }
  const check = checkFields('vmdk', image, (field) => base + (vmdk4Header.find(field) ?? NaN));
  check.field('magic', header.magic, header.magic === VMDK4_MAGIC, VMDK4_MAGIC);
  const compressed = header.compress_algorithm === DEFLATE;
  check.unsupported('version', header.version, header.version > 3, 'at most 3');
  // Version 3 adds changed-block tracking, which a writer that does not keep it would make lie.
  check.unsupported(
    'version',
    header.version,
    header.version === 3 && !readOnly && !compressed,
    'read-only access for version 3',
  );
  check.unsupported('compress_algorithm', header.compress_algorithm, header.compress_algorithm > 1, '0 or 1');
  const goodTable = header.num_gtes_per_gt > 0 && header.num_gtes_per_gt <= 512;
  check.field('num_gtes_per_gt', header.num_gtes_per_gt, goodTable, '1 to 512');
  checkGrain(check, header.granularity, header.capacity);
  requireInside(image, size, 0, compressed ? 0 : header.grain_offset * 512, 'vmdk', 'first grain');
  const gd = Number(header.gd_offset);
  return {
    kind: 'vmdk4',
    capacity: header.capacity * 512,
    grain: header.granularity * 512,
    tableEntries: header.num_gtes_per_gt,
    directory: gd * 512,
    backupDirectory: (header.flags & FLAG_REDUNDANT_TABLE) === 0 ? 0 : header.rgd_offset * 512,
    compressed,
    markers: (header.flags & FLAG_MARKERS) !== 0,
    zeroGrain: (header.flags & FLAG_ZERO_GRAIN) !== 0,
    version: header.version,
    descriptor: embedded,
    tables: 0,
    grains: 0,
    fields: vmdk4Header.describe(header, base),
  };
}

/** Marker, footer, end-of-stream marker: the last three sectors of a stream whose directory was written last. */
function* readFooter(storage: Storage, footerOffset: number): Steps<Uint8Array> {
  const bytes = yield* readExactly(storage, footerOffset - 512, 1536, 'vmdk', 'footer');
  const view = new DataView(bytes.buffer);
  const footerMarker = view.getUint32(8, true) === 0 && view.getUint32(12, true) === 3;
  const end = view.getBigUint64(1024, true) === 0n && view.getBigUint64(1032, true) === 0n;
  checkFields('vmdk', storage.name, () => footerOffset - 512).field(
    'footer',
    'markers',
    footerMarker && end,
    'footer and end-of-stream markers',
  );
  return bytes;
}

function readCowd(image: string, bytes: Uint8Array): SparseLayout {
  const header = cowdHeader.parse(bytes, image);
  const check = checkFields('vmdk', image, (field) => cowdHeader.find(field));
  checkGrain(check, header.granularity, header.disk_sectors);
  const tableEntries = 4096;
  const needed = Math.ceil(header.disk_sectors / (header.granularity * tableEntries));
  check.field('l1dir_size', header.l1dir_size, header.l1dir_size >= needed, `at least ${needed}`);
  return {
    ...NOTHING,
    kind: 'cowd',
    capacity: header.disk_sectors * 512,
    grain: header.granularity * 512,
    tableEntries,
    directory: header.l1dir_offset * 512,
    version: header.version,
    fields: cowdHeader.describe(header, 0),
  };
}

function* readSesparse(storage: Storage, bytes: Uint8Array): Steps<SparseLayout> {
  const image = storage.name;
  const header = sesparseHeader.parse(bytes, image);
  const check = checkFields('vmdk', image, (field) => sesparseHeader.find(field));
  check.unsupported('version', header.version, header.version !== SESPARSE_VERSION, '0x200000001');
  check.unsupported('grain_size', header.grain_size, header.grain_size !== 8, '8');
  check.unsupported('grain_table_size', header.grain_table_size, header.grain_table_size !== 64, '64');
  check.unsupported('flags', header.flags, header.flags !== 0n, '0');
  check.unsupported(
    'reserved',
    'set',
    header.reserved.some((byte) => byte !== 0),
    '0',
  );
  checkGrain(check, header.grain_size, header.capacity);
  const at = header.volatile_header_offset * 512;
  const state = sesparseVolatile.parse(
    yield* readExactly(storage, at, 512, 'vmdk', 'volatile header'),
    image,
  );
  const dirty = checkFields('vmdk', image, (field) => at + (sesparseVolatile.find(field) ?? NaN));
  dirty.field('magic', state.magic, state.magic === SESPARSE_VOLATILE_MAGIC, '0xcafecafe');
  dirty.unsupported(
    'replay_journal',
    state.replay_journal,
    state.replay_journal !== 0n,
    '0: a journal cannot be replayed',
  );
  const tableEntries = (header.grain_table_size * 512) / 8;
  const needed = Math.ceil(header.capacity / (header.grain_size * tableEntries));
  check.field(
    'grain_dir_size',
    header.grain_dir_size,
    header.grain_dir_size * 64 >= needed,
    `room for ${needed} entries`,
  );
  return {
    ...NOTHING,
    kind: 'sesparse',
    capacity: header.capacity * 512,
    grain: header.grain_size * 512,
    tableEntries,
    directory: header.grain_dir_offset * 512,
    tables: header.grain_tables_offset * 512,
    grains: header.grains_offset * 512,
    fields: sesparseHeader.describe(header, 0),
  };
}

const NOTHING = {
  backupDirectory: 0,
  compressed: false,
  markers: false,
  zeroGrain: false,
  version: 1,
  descriptor: { offset: 0, length: 0 },
  tables: 0,
  grains: 0,
};

/** Both in sectors. */
function checkGrain(check: FieldCheck, grain: number, capacity: number): void {
  check.field('granularity', grain, grain > 0 && grain <= MAX_GRAIN, `1 to ${MAX_GRAIN} sectors`);
  check.field('capacity', capacity, capacity <= MAX_CAPACITY, 'at most 64 TiB');
}

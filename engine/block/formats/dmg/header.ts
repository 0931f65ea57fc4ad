/** The trailer of a UDIF image and the `mish` blocks of its property list (QEMU `block/dmg.c`; Apple never published either). Big-endian. */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import type { HeaderField } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkFields } from '../shared/check-fields.ts';
import { layout, raw, text, u32, u64, x32, type Values } from '../shared/layout.ts';
import { readExactly, requireInside } from '../shared/storage-window.ts';

export const KOLY = 'koly';
export const ZERO_FILL = 0;
export const PLAIN = 1;
export const IGNORE = 2;
export const ADC = 0x80000004;
export const ZLIB = 0x80000005;
export const BZIP2 = 0x80000006;
export const LZFSE = 0x80000007;
export const LZMA = 0x80000008;
const COMMENT = 0x7ffffffe;
const END = 0xffffffff;
/** QEMU's bounds: a compressed chunk is at most this long, packed and unpacked. Bytes. */
const MAX_CHUNK = 64 << 20;
/** The property list and the resource fork are text and tables; a hostile trailer may claim anything. */
const MAX_LIST = 64 << 20;
const MAX_CHUNKS = 1 << 20;

export const kolyTrailer = layout('big', {
  signature: text(4),
  version: u32,
  header_size: u32,
  flags: x32,
  running_data_fork_offset: u64,
  data_fork_offset: u64,
  data_fork_length: u64,
  rsrc_fork_offset: u64,
  rsrc_fork_length: u64,
  segment_number: u32,
  segment_count: u32,
  segment_id: raw(16),
  data_checksum: raw(136),
  xml_offset: u64,
  xml_length: u64,
  reserved: raw(120),
  master_checksum: raw(136),
  image_variant: u32,
  sector_count: u64,
});
export const mishHeader = layout('big', {
  signature: text(4),
  version: u32,
  sector_number: u64,
  sector_count: u64,
  data_offset: u64,
  buffers_needed: u32,
  block_descriptors: u32,
  reserved: raw(24),
  checksum: raw(136),
  chunk_count: u32,
});
export const mishChunk = layout('big', {
  type: u32,
  comment: u32,
  sector_number: u64,
  sector_count: u64,
  offset: u64,
  length: u64,
});

export type KolyTrailer = Values<(typeof kolyTrailer)['fields']>;

/** A stretch of the disk. Bytes. */
export interface Chunk {
  type: number;
  start: number;
  length: number;
  /** In the file. */
  offset: number;
  packed: number;
}

export interface DmgImage {
  trailer: KolyTrailer;
  /** In the order of the disk, without overlaps. */
  chunks: Chunk[];
  /** Bytes. */
  virtualSize: number;
  fields: HeaderField[];
}

/** Throws `dmg.no-trailer`, `dmg.bad-field`, `dmg.truncated`. */
export function* readDmg(storage: Storage): Steps<DmgImage> {
  const image = storage.name;
  const size = yield* wait(storage.size());
  const at = yield* findTrailer(storage, size);
  const trailer = kolyTrailer.parse(
    yield* readExactly(storage, at, kolyTrailer.size, 'dmg', 'trailer'),
    image,
  );
  const check = checkFields('dmg', image, (field) => at + (kolyTrailer.find(field) ?? NaN));
  check.field(
    'data_fork_offset',
    trailer.data_fork_offset,
    trailer.data_fork_offset <= at,
    'an offset before the trailer',
  );
  const sectors = trailer.sector_count;
  check.field('sector_count', sectors, sectors <= 2 ** 53 / 512, 'less than 2^53 bytes');
  const fork = trailer.rsrc_fork_length > 0;
  const [offset, length] = fork
    ? [trailer.rsrc_fork_offset, trailer.rsrc_fork_length]
    : [trailer.xml_offset, trailer.xml_length];
  const name = fork ? 'rsrc_fork_length' : 'xml_length';
  check.field(name, length, length > 0 && length <= MAX_LIST, `1 to ${MAX_LIST}`);
  requireInside(image, at, offset, length, 'dmg', fork ? 'resource fork' : 'property list');
  const bytes = yield* readExactly(storage, offset, length, 'dmg', fork ? 'resource fork' : 'property list');
  const chunks: Chunk[] = [];
  for (const mish of fork ? resources(bytes, image) : propertyListData(bytes)) {
    addChunks(mish, trailer.data_fork_offset, chunks, image);
  }
  chunks.sort((a, b) => a.start - b.start);
  return { trailer, chunks, virtualSize: sectors * 512, fields: kolyTrailer.describe(trailer, at) };
}

/** In the last 512 bytes as a rule; QEMU looks a little further, since some writers pad. */
function* findTrailer(storage: Storage, size: number): Steps<number> {
  const length = Math.min(size, 1023);
  const tail = yield* readExactly(storage, size - length, length, 'dmg', 'trailer');
  for (let at = length - 512; at >= 0; at--) {
    if (tail[at] === 0x6b && tail[at + 1] === 0x6f && tail[at + 2] === 0x6c && tail[at + 3] === 0x79) {
      return size - length + at;
    }
  }
  throw new PlatterError('dmg.no-trailer', `"${storage.name}" has no UDIF trailer ("koly") at its end`, {
    image: storage.name,
    field: 'signature',
    expected: KOLY,
    hint: 'The file is truncated, or it is no dmg.',
  });
}

/** The base64 blocks under the key `blkx`. */
function* propertyListData(bytes: Uint8Array): Generator<Uint8Array> {
  const list = new TextDecoder('latin1').decode(bytes);
  const start = list.indexOf('<key>blkx</key>');
  const end = list.indexOf('</array>', start);
  const part = start < 0 ? list : list.slice(start, end < 0 ? undefined : end);
  for (const found of part.matchAll(/<data>([A-Za-z0-9+/=\s]*)<\/data>/g)) {
    yield new Uint8Array(Buffer.from(found[1], 'base64'));
  }
}

/** Older images keep the same blocks as resources: a length, then the bytes. */
function* resources(bytes: Uint8Array, image: string): Generator<Uint8Array> {
  const view = new DataView(bytes.buffer);
  const check = checkFields('dmg', image);
  check.field('rsrc_fork_length', bytes.length, bytes.length >= 16, 'at least 16');
  const start = view.getUint32(0);
  const length = view.getUint32(8);
  check.field(
    'resource data',
    `${length} bytes at ${start}`,
    start + length <= bytes.length,
    'data within the resource fork',
  );
  for (let at = start; at + 4 <= start + length;) {
    const count = view.getUint32(at);
    check.field(
      'resource',
      count,
      count > 0 && at + 4 + count <= start + length,
      'a length within the resource data',
    );
    yield bytes.slice(at + 4, at + 4 + count);
    at += 4 + count;
  }
}

function addChunks(mish: Uint8Array, dataFork: number, chunks: Chunk[], image: string): void {
  if (mish.length < mishHeader.size || String.fromCharCode(...mish.subarray(0, 4)) !== 'mish') return;
  const header = mishHeader.parse(mish, image);
  const check = checkFields('dmg', image);
  const count = Math.floor((mish.length - mishHeader.size) / mishChunk.size);
  for (let index = 0; index < count; index++) {
    const entry = mishChunk.parse(mish, image, mishHeader.size + index * mishChunk.size);
    if (entry.type === COMMENT || entry.type === END) continue;
    const chunk: Chunk = {
      type: entry.type,
      start: (header.sector_number + entry.sector_number) * 512,
      length: entry.sector_count * 512,
      offset: dataFork + header.data_offset + entry.offset,
      packed: entry.length,
    };
    const sane =
      Number.isSafeInteger(chunk.start + chunk.length) && Number.isSafeInteger(chunk.offset + chunk.packed);
    check.field('chunk', `${chunk.length} bytes at ${chunk.start}`, sane, 'less than 2^53');
    const empty = chunk.type === ZERO_FILL || chunk.type === IGNORE;
    const packed = !empty && chunk.type !== PLAIN;
    check.field('chunk length', chunk.packed, empty || chunk.packed <= MAX_CHUNK, `at most ${MAX_CHUNK}`);
    check.field(
      'chunk sectors',
      entry.sector_count,
      !packed || chunk.length <= MAX_CHUNK,
      `at most ${MAX_CHUNK / 512}`,
    );
    if (chunk.length > 0) chunks.push(chunk);
    check.field('chunks', chunks.length, chunks.length <= MAX_CHUNKS, `at most ${MAX_CHUNKS}`);
  }
}

/** Creating an empty qcow2 image: header, refcount table and blocks, L1 table, in QEMU's layout. */
import { StructWriter } from '../../../bytes/writer.ts';
import { PlatterError } from '../../../errors.ts';
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { CreateOptions } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { makeLuks, planLuks, type LuksPlan } from '../luks/create.ts';
import { encryptOptions } from '../luks/options.ts';
import {
  AUTOCLEAR,
  COMPRESSION_NAMES,
  CRYPT_LUKS,
  EXTENSION,
  HEADER_V2_LENGTH,
  INCOMPATIBLE,
  LAZY_REFCOUNTS,
  MAGIC,
  TABLE_ENTRY,
} from './constants.ts';
import { checkCreateOptions, type Qcow2Layout } from './create-options.ts';
import { writeRefcount } from './refcount-width.ts';

const HEADER_LENGTH = 112;
const STRUCTURE = { structure: 'qcow2 header' };

/** Options as `qemu-img create -o`: see create-options.ts. The storage is empty. */
export function createQcow2(storage: Storage, options: CreateOptions): Maybe<void> {
  const luks = encryptOptions(options);
  const layout = checkCreateOptions(options);
  return run(createSteps(storage, layout, luks && planLuks(storage.name, luks)));
}

function* createSteps(storage: Storage, layout: Qcow2Layout, luks?: LuksPlan): Steps<void> {
  const { clusterSize } = layout;
  const crypto = luks === undefined ? undefined : (yield* makeLuks(storage.name, luks)).header;
  const cryptoClusters = Math.ceil((crypto?.length ?? 0) / clusterSize);
  const perBlock = (clusterSize * 8) / layout.refcountBits;
  const l1Clusters = Math.ceil((layout.l1Size * TABLE_ENTRY) / clusterSize);
  let blocks = 1;
  let tableClusters = 1;
  for (;;) {
    const needed = Math.ceil((1 + tableClusters + blocks + l1Clusters + cryptoClusters) / perBlock);
    const tableNeeded = Math.ceil((needed * TABLE_ENTRY) / clusterSize);
    if (needed <= blocks && tableNeeded <= tableClusters) break;
    blocks = needed;
    tableClusters = tableNeeded;
  }
  const blocksAt = (1 + tableClusters) * clusterSize;
  const l1At = blocksAt + blocks * clusterSize;
  const cryptoAt = l1At + l1Clusters * clusterSize;
  const total = 1 + tableClusters + blocks + l1Clusters + cryptoClusters;
  // Zeroes of the L1 table: the file just reaches to its end.
  yield* wait(storage.truncate(l1At + layout.l1Size * TABLE_ENTRY));
  if (crypto !== undefined) {
    yield* wait(storage.write(cryptoAt, crypto));
    yield* wait(storage.truncate(cryptoAt + cryptoClusters * clusterSize));
  }
  const table = new StructWriter(blocks * TABLE_ENTRY, { structure: 'refcount table' });
  for (let block = 0; block < blocks; block++) {
    table.u64(block * TABLE_ENTRY, blocksAt + block * clusterSize, 'refcount block offset');
  }
  for (let block = 0; block < blocks; block++) {
    const counts = new Uint8Array(clusterSize);
    const view = new DataView(counts.buffer);
    const used = Math.min(perBlock, total - block * perBlock);
    for (let index = 0; index < used; index++) writeRefcount(view, index, Math.log2(layout.refcountBits), 1);
    yield* wait(storage.write(blocksAt + block * clusterSize, counts));
  }
  yield* wait(storage.write(clusterSize, table.bytes));
  yield* wait(
    storage.write(
      0,
      headerCluster(layout, tableClusters, l1At, crypto && { offset: cryptoAt, length: crypto.length }),
    ),
  );
}

function headerCluster(
  layout: Qcow2Layout,
  tableClusters: number,
  l1At: number,
  crypto: { offset: number; length: number } | undefined,
): Uint8Array {
  const writer = new StructWriter(layout.clusterSize, STRUCTURE);
  writer.u32(0, MAGIC, 'magic');
  writer.u32(4, layout.version, 'version');
  writer.u32(20, Math.log2(layout.clusterSize), 'cluster_bits');
  writer.u64(24, layout.size, 'size');
  if (crypto !== undefined) writer.u32(32, CRYPT_LUKS, 'crypt_method');
  writer.u32(36, layout.l1Size, 'l1_size');
  writer.u64(40, l1At, 'l1_table_offset');
  writer.u64(48, layout.clusterSize, 'refcount_table_offset');
  writer.u32(56, tableClusters, 'refcount_table_clusters');
  let at = HEADER_V2_LENGTH;
  if (layout.version === 3) {
    const compression = COMPRESSION_NAMES.indexOf(layout.compressionType);
    let incompatible = compression === 0 ? 0n : INCOMPATIBLE.compressionType;
    if (layout.extendedL2) incompatible |= INCOMPATIBLE.extendedL2;
    if (layout.dataFile !== undefined) incompatible |= INCOMPATIBLE.dataFile;
    writer.u64raw(72, incompatible);
    writer.u64raw(80, layout.lazyRefcounts ? LAZY_REFCOUNTS : 0n);
    writer.u64raw(88, layout.dataFileRaw ? AUTOCLEAR.dataFileRaw : 0n);
    writer.u32(96, Math.log2(layout.refcountBits), 'refcount_order');
    writer.u32(100, HEADER_LENGTH, 'header_length');
    writer.u8(104, compression, 'compression_type');
    at = HEADER_LENGTH;
  }
  at = extension(writer, at, EXTENSION.backingFormat, layout.backingFormat);
  at = extension(writer, at, EXTENSION.dataFile, layout.dataFile);
  if (crypto !== undefined) {
    const place = new StructWriter(16, { structure: 'full disk encryption header extension' });
    place.u64(0, crypto.offset, 'offset');
    place.u64(8, crypto.length, 'length');
    at = extension(writer, at, EXTENSION.cryptoHeader, place.bytes);
  }
  // 512-byte clusters have no room for the names of the features; QEMU leaves them out as well.
  const named = layout.version === 3 && layout.clusterSize > 512;
  if (named) at = extension(writer, at, EXTENSION.featureNames, featureNames());
  at += 8; // The end marker: eight zero bytes.
  if (layout.backingFile !== undefined) {
    const name = new TextEncoder().encode(layout.backingFile);
    if (at + name.length > layout.clusterSize) throw noRoom(layout);
    writer.put(at, name);
    writer.u64(8, at, 'backing_file_offset');
    writer.u32(16, name.length, 'backing_file_size');
  }
  return writer.bytes;
}

function extension(
  writer: StructWriter,
  at: number,
  type: number,
  value: string | Uint8Array | undefined,
): number {
  if (value === undefined) return at;
  const data = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  writer.u32(at, type, 'extension type');
  writer.u32(at + 4, data.length, 'extension length');
  writer.put(at + 8, data);
  return at + 8 + Math.ceil(data.length / 8) * 8;
}

const FEATURES: readonly [kind: number, bit: number, name: string][] = [
  [0, 0, 'dirty bit'],
  [0, 1, 'corrupt bit'],
  [0, 2, 'external data file'],
  [0, 3, 'compression type'],
  [0, 4, 'extended L2 entries'],
  [1, 0, 'lazy refcounts'],
  [2, 0, 'bitmaps'],
  [2, 1, 'raw external data'],
];

/** The table by which older programs name the features that they lack. */
function featureNames(): Uint8Array {
  const bytes = new Uint8Array(FEATURES.length * 48);
  FEATURES.forEach(([kind, bit, name], index) => {
    bytes[index * 48] = kind;
    bytes[index * 48 + 1] = bit;
    bytes.set(new TextEncoder().encode(name), index * 48 + 2);
  });
  return bytes;
}

function noRoom(layout: Qcow2Layout): PlatterError {
  return new PlatterError('block.bad-option', `The name of the backing file does not fit into a cluster`, {
    option: 'backing_file',
    value: layout.backingFile,
    expected: 'a shorter name or a larger cluster_size',
  });
}

/** The bits of a persistent bitmap (specification, "Bitmap table", "Bitmap data"): a bit for each granule, the lowest bit first. */
import { PlatterError } from '../../../../errors.ts';
import { wait, type Steps } from '../../../../maybe.ts';
import { allocate } from '../allocation.ts';
import { OFFSET_HIGH, OFFSET_LOW, TABLE_ENTRY } from '../constants.ts';
import { truncated } from '../errors.ts';
import type { Qcow2State } from '../state.ts';
import { badBitmap, type BitmapRecord } from './directory.ts';

/** An offset of 0 with this bit set: a cluster of ones. */
const ALL_ONES = 1;

/** Bytes of a bitmap over `diskSize` bytes. */
export function bitmapBytes(diskSize: number, granularityBits: number): number {
  return Math.ceil(Math.ceil(diskSize / 2 ** granularityBits) / 8);
}

/** Entries of its table. */
export function tableEntries(state: Qcow2State, granularityBits: number, diskSize: number): number {
  return Math.ceil(bitmapBytes(diskSize, granularityBits) / state.clusterSize);
}

/** Throws `block.table-too-large`, `qcow2.truncated`, `qcow2.bad-bitmap`. */
export function* loadBits(state: Qcow2State, record: BitmapRecord): Steps<Uint8Array> {
  const length = bitmapBytes(state.virtualSize, record.granularityBits);
  if (length > state.limits.tableBytes) {
    throw new PlatterError(
      'block.table-too-large',
      `The bitmap "${record.name}" would take ${length} bytes of memory`,
      { field: 'bitmap', value: `${length} bytes`, expected: `at most ${state.limits.tableBytes} bytes` },
    );
  }
  if (record.tableSize !== Math.ceil(length / state.clusterSize)) {
    throw badBitmap('bitmap_table_size', record.offset + 8, String(record.tableSize));
  }
  const table = yield* readBitmapTable(state, record);
  const bits = new Uint8Array(length);
  for (let index = 0; index < record.tableSize; index++) {
    const part = bits.subarray(index * state.clusterSize, (index + 1) * state.clusterSize);
    const cluster = clusterOf(table, index);
    if (cluster > 0) yield* wait(state.storage.read(cluster, part));
    else if ((table.getUint32(index * TABLE_ENTRY + 4) & ALL_ONES) !== 0) part.fill(0xff);
  }
  return bits;
}

export function* readBitmapTable(state: Qcow2State, record: BitmapRecord): Steps<DataView> {
  const bytes = new Uint8Array(record.tableSize * TABLE_ENTRY);
  const fileSize = yield* wait(state.storage.size());
  const end = record.tableOffset + bytes.length;
  if (end > fileSize) throw truncated('bitmap table', record.tableOffset, end, fileSize);
  yield* wait(state.storage.read(record.tableOffset, bytes));
  return new DataView(bytes.buffer);
}

function clusterOf(table: DataView, index: number): number {
  const high = table.getUint32(index * TABLE_ENTRY) & OFFSET_HIGH;
  return high * 2 ** 32 + ((table.getUint32(index * TABLE_ENTRY + 4) & OFFSET_LOW) >>> 0);
}

/** Writes bits and a table for them to new clusters; `record` points there, the old ones stay until the caller frees them. */
export function* storeBits(state: Qcow2State, record: BitmapRecord, bits: Uint8Array): Steps<void> {
  const { clusterSize, storage } = state;
  const entries = Math.ceil(bits.length / clusterSize);
  const table = new DataView(new ArrayBuffer(entries * TABLE_ENTRY));
  for (let index = 0; index < entries; index++) {
    const part = bits.subarray(index * clusterSize, (index + 1) * clusterSize);
    if (part.every((byte) => byte === 0)) continue;
    const cluster = new Uint8Array(clusterSize);
    cluster.set(part);
    const place = yield* allocate(state, 1);
    yield* wait(storage.write(place, cluster));
    table.setBigUint64(index * TABLE_ENTRY, BigInt(place));
  }
  record.tableSize = entries;
  record.tableOffset = 0;
  if (entries === 0) return;
  const tableBytes = new Uint8Array(Math.ceil((entries * TABLE_ENTRY) / clusterSize) * clusterSize);
  tableBytes.set(new Uint8Array(table.buffer));
  record.tableOffset = yield* allocate(state, tableBytes.length / clusterSize);
  yield* wait(storage.write(record.tableOffset, tableBytes));
}

/** Everything that a bitmap occupies, to be freed once nothing points there. */
export function* bitmapClusters(state: Qcow2State, record: BitmapRecord): Steps<[number, number][]> {
  if (record.tableSize === 0) return [];
  const table = yield* readBitmapTable(state, record);
  const places: [number, number][] = [[record.tableOffset, record.tableSize * TABLE_ENTRY]];
  for (let index = 0; index < record.tableSize; index++) {
    const cluster = clusterOf(table, index);
    if (cluster > 0) places.push([cluster, state.clusterSize]);
  }
  return places;
}

/** Sets (or clears) the bits of every granule that the range touches. */
export function markBits(bits: Uint8Array, granularityBits: number, offset: number, length: number): void {
  if (length <= 0) return;
  const last = Math.floor((offset + length - 1) / 2 ** granularityBits);
  for (let bit = Math.floor(offset / 2 ** granularityBits); bit <= last; bit++) {
    if ((bit & 7) === 0 && bit + 7 <= last) {
      bits[bit >>> 3] = 0xff;
      bit += 7;
    } else bits[bit >>> 3] |= 1 << (bit & 7);
  }
}

export function bitIsSet(bits: Uint8Array, bit: number): boolean {
  return ((bits[bit >>> 3] >> (bit & 7)) & 1) !== 0;
}

/** The refcount table and its blocks, and every stored count against the references that were found. */
import { takeWords16 } from '../../../words.ts';
import { isZero } from '../../../is-zero.ts';
import { PlatterError } from '../../../../errors.ts';
import { wait, type Steps } from '../../../../maybe.ts';
import { OFFSET_HIGH, OFFSET_LOW, TABLE_ENTRY } from '../constants.ts';
import { readRefcount } from '../refcount-width.ts';
import { SATURATED, type ReferenceCounts } from './references.ts';
import { addReferences, hex, readWhole, type CheckContext } from './tables.ts';

const RESERVED_LOW = 0x1ff;
/** The default width, as a power of two of bits. */
const SIXTEEN_BITS = 4;
/** Stands for a stored count that no number holds. */
export const UNCOUNTABLE = Number.MAX_SAFE_INTEGER;

/** Offsets of the blocks that are sound, 0 where there is none. */
export function followRefcountTable(context: CheckContext, table: Uint8Array): Float64Array {
  const { state, report } = context;
  const { clusterSize, header } = state;
  addReferences(context, header.refcountTableOffset, header.refcountTableClusters * clusterSize);
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const blocks = new Float64Array(table.length / TABLE_ENTRY);
  const clusters = Math.ceil(context.fileSize / clusterSize);
  for (let index = 0; index < blocks.length; index++) {
    const high = view.getUint32(index * TABLE_ENTRY);
    const low = view.getUint32(index * TABLE_ENTRY + 4);
    if (high === 0 && low === 0) continue;
    if ((low & RESERVED_LOW) !== 0) {
      report.corruption(`refcount table entry ${index} has reserved bits set`);
      continue;
    }
    const offset = (high & OFFSET_HIGH) * 2 ** 32 + ((low & OFFSET_LOW) >>> 0);
    if (offset % clusterSize !== 0) {
      report.corruption(`refcount block ${index} is not cluster aligned; refcount table entry corrupted`);
      continue;
    }
    if (offset / clusterSize >= clusters) {
      report.corruption(`refcount block ${index} is outside image`);
      continue;
    }
    if (offset === 0) continue;
    addReferences(context, offset, clusterSize);
    if (context.references.get(offset / clusterSize) !== 1) {
      report.corruption(`refcount block ${index} refcount=${context.references.get(offset / clusterSize)}`);
    }
    blocks[index] = offset;
  }
  return blocks;
}

export interface Difference {
  cluster: number;
  stored: number;
  found: number;
}

/** Counts too small are corruptions, counts too large are leaks. */
export function* compareCounts(context: CheckContext, blocks: Float64Array): Steps<Difference[]> {
  const differences: Difference[] = [];
  const { state, report, references, fileSize } = context;
  const { clusterSize } = state;
  const order = state.header.refcountOrder;
  const perBlock = (clusterSize * 8) / 2 ** order;
  const clusters = Math.ceil(fileSize / clusterSize);
  const bytes = new Uint8Array(clusterSize);
  const view = new DataView(bytes.buffer);
  let highest = -1;
  for (const index of interesting(context, blocks, perBlock)) {
    const start = index * perBlock;
    if (start >= clusters) break;
    const block = blocks[index] ?? 0;
    if (block === 0) bytes.fill(0);
    else if (!(yield* readWhole(context, block, bytes, 'refcount block'))) continue;
    const end = Math.min(clusters, start + perBlock);
    if (order === SIXTEEN_BITS) {
      const last = lastOfEqual(references, takeWords16(bytes), start, end);
      if (last !== undefined) {
        highest = Math.max(highest, last);
        continue;
      }
      // Back to what it was, for the way that goes one by one.
      takeWords16(bytes);
    }
    for (let cluster = start; cluster < end; cluster++) {
      const stored = readCount(view, cluster - start, order);
      const found = references.get(cluster);
      if (stored > 0 || found > 0) highest = cluster;
      if (stored === found || (found === SATURATED && stored > found)) continue;
      differences.push({ cluster, stored, found });
      const words = `cluster ${cluster} refcount=${stored} reference=${found}`;
      if (stored < found) report.corruption(words);
      else report.leak(`Leaked ${words}`);
    }
  }
  report.result.imageEndOffset = (highest + 1) * clusterSize;
  return differences;
}

/**
 * The last cluster that is in use when a whole block of stored counts is equal to the references that were found (-1 without any), as
 * nearly all are; else undefined.
 */
function lastOfEqual(
  references: ReferenceCounts,
  stored: Uint16Array,
  start: number,
  end: number,
): number | undefined {
  let last = -1;
  for (let at = start; at < end;) {
    const { length, counts } = references.stretch(at, end - at);
    const part = stored.subarray(at - start, at - start + length);
    if (counts === undefined ? !isZero(bytesOf(part)) : Buffer.compare(bytesOf(part), bytesOf(counts)) !== 0)
      return undefined;
    const back = counts?.findLastIndex((count) => count !== 0) ?? -1;
    if (back >= 0) last = at + back;
    at += length;
  }
  return last;
}

function bytesOf({ buffer, byteOffset, byteLength }: Uint16Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Blocks that exist, and those whose clusters are referenced, in order: a sparse file of petabytes has no more of them. */
function interesting(context: CheckContext, blocks: Float64Array, perBlock: number): number[] {
  const found = new Set<number>();
  blocks.forEach((offset, index) => {
    if (offset !== 0) found.add(index);
  });
  for (const [start, count] of context.references.pages()) {
    for (let at = start; at < start + count; at += Math.min(perBlock, count))
      found.add(Math.floor(at / perBlock));
  }
  return [...found].sort((a, b) => a - b);
}

function readCount(view: DataView, index: number, order: number): number {
  // The default width, millions of times.
  if (order === 4) return view.getUint16(index * 2);
  try {
    return readRefcount(view, index, order);
  } catch (error) {
    // A 64-bit count that no number holds: far more than any references.
    if (error instanceof PlatterError) return UNCOUNTABLE;
    throw error;
  }
}

/** The whole refcount table; what does not lie within the file is a check error. */
export function* readRefcountTable(context: CheckContext): Steps<Uint8Array> {
  const { header, clusterSize, storage } = context.state;
  const length = header.refcountTableClusters * clusterSize;
  const size = yield* wait(storage.size());
  const table = new Uint8Array(Math.max(0, Math.min(length, size - header.refcountTableOffset)));
  if (table.length < length) {
    context.report.checkError(
      `the refcount table at ${hex(header.refcountTableOffset)} reaches past the end of the file`,
    );
  }
  if (table.length > 0) yield* readWhole(context, header.refcountTableOffset, table, 'refcount table');
  return table.subarray(0, table.length - (table.length % TABLE_ENTRY));
}

/** Following L1 and L2 tables: every cluster that they use gets a reference, every entry is held against the specification. */
import { takeWords32 } from '../../../words.ts';
import { PlatterError } from '../../../../errors.ts';
import { wait, type Steps } from '../../../../maybe.ts';
import { COMPRESSED_HIGH, COPIED_HIGH, OFFSET_HIGH, OFFSET_LOW, TABLE_ENTRY } from '../constants.ts';
import { clusterKind, compressedPlace, holdsData, hostOffset } from '../entry.ts';
import type { Qcow2State } from '../state.ts';
import type { ReferenceCounts } from './references.ts';
import type { CheckReport } from './report.ts';
import { misaligned } from './words.ts';

export interface CheckContext {
  state: Qcow2State;
  report: CheckReport;
  references: ReferenceCounts;
  fileSize: number;
}

const L1_RESERVED_HIGH = 0x7f00_0000;
const L2_RESERVED_HIGH = 0x3f00_0000;
const L1_RESERVED_LOW = 0x1ff;
const L2_RESERVED_LOW = 0x1fe;

/** Counts a reference to every cluster that the bytes touch. The last cluster of a file need not be there in full. */
export function addReferences(context: CheckContext, offset: number, length: number): void {
  if (length <= 0) return;
  const { clusterSize } = context.state;
  if (offset + length - context.fileSize >= clusterSize) {
    context.report.corruption(
      `counting reference for region exceeding the end of the file by one cluster or more: offset ${hex(offset)} size ${hex(length)}`,
    );
    return;
  }
  const last = Math.floor((offset + length - 1) / clusterSize);
  for (let cluster = Math.floor(offset / clusterSize); cluster <= last; cluster++)
    context.references.add(cluster);
}

/** An L1 table and all below it. `active` also counts what is allocated and how fragmented it is. */
export function* followL1(
  context: CheckContext,
  l1: Uint8Array,
  l1Offset: number,
  active: boolean,
): Steps<void> {
  const { state, report } = context;
  addReferences(context, l1Offset, l1.length);
  const view = new DataView(l1.buffer, l1.byteOffset, l1.byteLength);
  const table = new Uint8Array(state.clusterSize);
  for (let at = 0; at < l1.length; at += TABLE_ENTRY) {
    const high = view.getUint32(at);
    const low = view.getUint32(at + 4);
    if (high === 0 && low === 0) continue;
    if ((high & L1_RESERVED_HIGH) !== 0 || (low & L1_RESERVED_LOW) !== 0) {
      report.corruption(`L1 entry at ${hex(l1Offset + at)} has reserved bits set`);
    }
    const offset = (high & OFFSET_HIGH) * 2 ** 32 + ((low & OFFSET_LOW) >>> 0);
    if (offset === 0) continue;
    if (active && offset % state.clusterSize === 0 && offset < context.fileSize) {
      context.references.addActive(offset / state.clusterSize, (high & COPIED_HIGH) !== 0);
    } else addReferences(context, offset, state.clusterSize);
    if (offset % state.clusterSize !== 0) {
      report.corruption(`l2_offset=${hex(offset)}: table is not cluster aligned; L1 entry corrupted`);
      continue;
    }
    if (!(yield* readWhole(context, offset, table, 'L2 table'))) continue;
    followL2(context, table, offset, active);
  }
}

/** `false`, and a check error, when it cannot be read. */
export function* readWhole(
  context: CheckContext,
  offset: number,
  target: Uint8Array,
  what: string,
): Steps<boolean> {
  try {
    yield* wait(context.state.storage.read(offset, target));
    return true;
  } catch (error) {
    if (!(error instanceof PlatterError)) throw error;
    context.report.checkError(`the ${what} at ${hex(offset)} cannot be read: ${error.message}`);
    return false;
  }
}

function followL2(context: CheckContext, table: Uint8Array, tableOffset: number, active: boolean): void {
  const { state, report } = context;
  const { result } = report;
  const { clusterSize, extendedL2, externalData } = state;
  const words = takeWords32(table);
  // Cluster sizes are powers of two below 2^32: the low half tells whether an offset is aligned.
  const unaligned = clusterSize - 1;
  const lastStart = context.fileSize - 1;
  const runs = active && !extendedL2 && !externalData;
  let expected = 0;
  for (let at = 0; at < table.length; at += state.l2EntryBytes) {
    const word = at >>> 2;
    const high = words[word];
    const low = words[word + 1];
    if (high === 0 && low === 0) continue;
    if ((high & COMPRESSED_HIGH) !== 0) {
      if (followCompressed(context, high, low, tableOffset + at) && active) {
        // Compressed clusters lie at odd sectors: fragmented by nature.
        result.allocatedClusters++;
        result.compressedClusters++;
        result.fragmentedClusters++;
      }
      continue;
    }
    if ((high & L2_RESERVED_HIGH) !== 0 || (low & L2_RESERVED_LOW) !== 0) {
      report.corruption(`L2 entry at ${hex(tableOffset + at)} has reserved bits set`);
    }
    const offset = hostOffset(high, low);
    if (runs && (high & L2_RESERVED_HIGH) === 0 && (low & unaligned) === 0 && offset <= lastStart) {
      const most = Math.floor((lastStart - offset) / clusterSize) + 1;
      const run = runLength(words, word, most, clusterSize);
      if (run > 1) {
        result.allocatedClusters += run;
        if (expected !== 0 && offset !== expected) result.fragmentedClusters++;
        expected = offset + run * clusterSize;
        context.references.addActiveRun(offset / clusterSize, run, (high & COPIED_HIGH) !== 0);
        at += (run - 1) * TABLE_ENTRY;
        continue;
      }
    }
    if (extendedL2 && (words[word + 2] & words[word + 3]) !== 0) {
      report.corruption(`L2 entry at ${hex(tableOffset + at)}: a subcluster is both allocated and zero`);
      continue;
    }
    if (offset === 0 && clusterKind(high, low, externalData) !== 'normal') continue;
    if ((low & OFFSET_LOW & unaligned) !== 0) {
      const stored = holdsData(low, extendedL2 ? words[word + 3] : undefined);
      report.corruption(misaligned(offset, stored ? 'Data' : 'Preallocated'));
    }
    if (active) {
      result.allocatedClusters++;
      if (expected !== 0 && offset !== expected) result.fragmentedClusters++;
      expected = offset + clusterSize;
    }
    if (externalData) continue;
    if ((low & unaligned & OFFSET_LOW) === 0 && offset <= lastStart) {
      if (active) context.references.addActive(offset / clusterSize, (high & COPIED_HIGH) !== 0);
      else context.references.add(offset / clusterSize);
    } else addReferences(context, offset, clusterSize);
  }
}

/** Entries from `word` on that lead to clusters one behind the other, all with the same flags; at most `most`. */
function runLength(words: Uint32Array, word: number, most: number, clusterSize: number): number {
  const high = words[word];
  const end = Math.min(words.length, word + 2 * most);
  let low = words[word + 1];
  let at = word + 2;
  // A run ends where the low half overflows; the next one begins there.
  for (; at < end; at += 2) {
    low += clusterSize;
    if (words[at + 1] !== low || words[at] !== high) break;
  }
  return (at - word) / 2;
}

function followCompressed(context: CheckContext, high: number, low: number, entryOffset: number): boolean {
  const { state, report } = context;
  if ((high & COPIED_HIGH) !== 0) {
    report.corruption(
      `L2 entry at ${hex(entryOffset)}: copied flag must never be set for compressed clusters`,
    );
  }
  if (state.externalData) {
    report.corruption(
      `L2 entry at ${hex(entryOffset)}: compressed cluster in an image with an external data file`,
    );
    return false;
  }
  const place = compressedPlace(high, low, state.header.clusterBits);
  addReferences(context, place.offset, place.length);
  return true;
}

export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

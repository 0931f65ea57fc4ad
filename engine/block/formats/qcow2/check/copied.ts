/** The copied flags: set exactly where the stored reference count is 1 (specification, "L1 table entry", "L2 table entry"). */
import { PlatterError } from '../../../../errors.ts';
import type { Steps } from '../../../../maybe.ts';
import { COMPRESSED_HIGH, COPIED_HIGH, OFFSET_LOW, TABLE_ENTRY } from '../constants.ts';
import { hostOffset } from '../entry.ts';
import type { Refcounts } from '../refcount.ts';
import { UNCOUNTABLE, type Difference } from './refcounts.ts';
import { copiedData, copiedL2 } from './words.ts';
import { readWhole, type CheckContext } from './tables.ts';

/**
 * `differences`: the only clusters of the file whose stored count is not the number of references that were found. `refcounts` tells
 * those of clusters past its end.
 */
export function* checkCopied(
  context: CheckContext,
  differences: readonly Difference[],
  refcounts: Refcounts,
): Steps<void> {
  const { state, report, references, fileSize } = context;
  const { clusterSize, externalData } = state;
  // Cluster sizes are powers of two below 2^32: the low half tells whether an offset is aligned.
  const unaligned = clusterSize - 1;
  const stored = new Map(differences.map((one) => [one.cluster, one.stored]));
  const count = (cluster: number): number =>
    (stored.size === 0 ? undefined : stored.get(cluster)) ?? references.get(cluster);
  const table = new Uint8Array(clusterSize);
  const view = new DataView(table.buffer);
  for (let index = 0; index < state.l1.length / TABLE_ENTRY; index++) {
    const high = state.l1View.getUint32(index * TABLE_ENTRY);
    const offset = hostOffset(high, state.l1View.getUint32(index * TABLE_ENTRY + 4));
    if (offset === 0 || offset % clusterSize !== 0) continue;
    const l2Count =
      offset < fileSize ? count(offset / clusterSize) : yield* pastEnd(refcounts, offset / clusterSize);
    if ((l2Count === 1) !== ((high & COPIED_HIGH) !== 0)) {
      report.corruption(copiedL2(index, high, state.l1View.getUint32(index * TABLE_ENTRY + 4), l2Count));
    }
    if (!(yield* readWhole(context, offset, table, 'L2 table'))) continue;
    for (let at = 0; at < table.length; at += state.l2EntryBytes) {
      const entryHigh = view.getUint32(at);
      if ((entryHigh & COMPRESSED_HIGH) !== 0) continue;
      const entryLow = view.getUint32(at + 4);
      if ((entryLow & OFFSET_LOW & unaligned) !== 0) continue;
      const data = hostOffset(entryHigh, entryLow);
      if (data === 0) continue;
      const cluster = data / clusterSize;
      const dataCount = externalData
        ? 1
        : data < fileSize
          ? count(cluster)
          : yield* pastEnd(refcounts, cluster);
      if ((dataCount === 1) !== ((entryHigh & COPIED_HIGH) !== 0))
        report.corruption(copiedData(entryHigh, entryLow, dataCount));
    }
  }
}

function* pastEnd(refcounts: Refcounts, cluster: number): Steps<number> {
  try {
    return yield* refcounts.get(cluster);
  } catch (error) {
    // A 64-bit count that no number holds: not one reference, in any case.
    if (error instanceof PlatterError && error.code === 'bytes.too-large') return UNCOUNTABLE;
    throw error;
  }
}

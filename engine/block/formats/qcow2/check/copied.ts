/** The copied flags: set exactly where the stored reference count is 1 (specification, "L1 table entry", "L2 table entry"). */
import { PlatterError } from '../../../../errors.ts';
import type { Steps } from '../../../../maybe.ts';
import { COPIED_HIGH, TABLE_ENTRY } from '../constants.ts';
import { clusterKind, hostOffset } from '../entry.ts';
import type { Refcounts } from '../refcount.ts';
import { hex, readWhole, type CheckContext } from './tables.ts';

export function* checkCopied(context: CheckContext, refcounts: Refcounts): Steps<void> {
  const { state, report } = context;
  const table = new Uint8Array(state.clusterSize);
  const view = new DataView(table.buffer);
  for (let index = 0; index < state.l1.length / TABLE_ENTRY; index++) {
    const high = state.l1View.getUint32(index * TABLE_ENTRY);
    const offset = hostOffset(high, state.l1View.getUint32(index * TABLE_ENTRY + 4));
    if (offset === 0 || offset % state.clusterSize !== 0) continue;
    const l2Count = yield* count(refcounts, offset / state.clusterSize);
    if ((l2Count === 1) !== ((high & COPIED_HIGH) !== 0)) {
      report.corruption(
        `OFLAG_COPIED L2 cluster: l1_index=${index} offset=${hex(offset)} refcount=${l2Count}`,
      );
    }
    if (!(yield* readWhole(context, offset, table, 'L2 table'))) continue;
    for (let at = 0; at < table.length; at += state.l2EntryBytes) {
      const entryHigh = view.getUint32(at);
      const entryLow = view.getUint32(at + 4);
      if (clusterKind(entryHigh, entryLow) === 'compressed') continue;
      const data = hostOffset(entryHigh, entryLow);
      if (data === 0 || data % state.clusterSize !== 0) continue;
      const own = state.externalData || (yield* count(refcounts, data / state.clusterSize)) === 1;
      if (own !== ((entryHigh & COPIED_HIGH) !== 0)) {
        report.corruption(`OFLAG_COPIED data cluster: l2_entry at ${hex(offset + at)} offset=${hex(data)}`);
      }
    }
  }
}

function* count(refcounts: Refcounts, cluster: number): Steps<number> {
  const block = refcounts.blockOffset(Math.floor(cluster / refcounts.perBlock));
  if (block === 0) return 0;
  try {
    const slice = refcounts.cache.peek(refcounts.sliceOf(block, cluster));
    if (slice !== undefined) return refcounts.countIn(slice, cluster);
    return yield* refcounts.get(cluster);
  } catch (error) {
    // A 64-bit count that no number holds: not one reference, in any case.
    if (error instanceof PlatterError && error.code === 'bytes.too-large') return Number.MAX_SAFE_INTEGER;
    throw error;
  }
}

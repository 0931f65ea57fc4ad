/** Whether an image has more clusters than its file has room for on its medium (`block/qcow2-refcount.c`). */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import { readTable } from './open.ts';
import { Refcounts } from './refcount.ts';
import type { Qcow2State } from './state.ts';

/** Counts that are looked at: of 1 TiB with the default cluster size. Of a larger image nothing is claimed. */
const MOST = 1 << 24;

/**
 * QEMU: qcow2_detect_metadata_preallocation. Data clusters that were handed out and never written lie in holes of the file
 * (`preallocation=metadata`). QEMU asks the file about data clusters only where a tenth of the clusters has no room, or two.
 */
export function* isPreallocated(state: Qcow2State): Steps<boolean> {
  const { storage, clusterSize } = state;
  const occupied = yield* wait(storage.allocatedSize());
  if (occupied === undefined) return false;
  const real = Math.floor(occupied / clusterSize);
  const threshold = Math.max(Math.floor((real * 10) / 9), real + 2);
  const end = Math.ceil((yield* wait(storage.size())) / clusterSize);
  // Most images: all that the file is long has its room, and nothing need be counted.
  if (end < threshold) return false;
  try {
    return yield* moreInUse(state, Math.min(end, MOST), threshold);
  } catch (error) {
    // Damaged counts hide no data: then the file is not asked.
    if (error instanceof PlatterError) return false;
    throw error;
  }
}

/** Whether `threshold` of the first `end` clusters are in use. */
function* moreInUse(state: Qcow2State, end: number, threshold: number): Steps<boolean> {
  const refcounts = state.refcounts ?? (yield* readRefcounts(state));
  let used = 0;
  for (let first = 0; first < end; first += refcounts.perSlice) {
    const block = refcounts.blockOffset(Math.floor(first / refcounts.perBlock));
    if (block === 0) continue;
    const slice = yield* wait(refcounts.cache.get(refcounts.sliceOf(block, first)));
    const last = Math.min(end, first + refcounts.perSlice);
    for (let cluster = first; cluster < last; cluster++) if (refcounts.countIn(slice, cluster) > 0) used++;
    if (used >= threshold) return true;
  }
  return false;
}

function* readRefcounts(state: Qcow2State): Steps<Refcounts> {
  const { refcountTableOffset, refcountTableClusters } = state.header;
  const length = refcountTableClusters * state.clusterSize;
  return new Refcounts(
    state,
    yield* readTable(state.storage, 'refcount table', refcountTableOffset, length, state),
  );
}

/**
 * Giving the end of the file back: refcount blocks that count nothing but themselves go, then the file ends behind the last cluster
 * in use (QEMU: qcow2_shrink_reftable and the truncation after it in qcow2_co_truncate).
 */
import { wait, type Steps } from '../../../maybe.ts';
import { allocate } from './allocation.ts';
import { TABLE_ENTRY } from './constants.ts';
import { writeDisk } from './header-update.ts';
import type { Refcounts } from './refcount.ts';
import type { Qcow2State } from './state.ts';

/** Nothing may be unwritten. A power cut in between leaves clusters leaked at worst. */
export function* trimEnd(state: Qcow2State, refcounts: Refcounts): Steps<void> {
  for (let block = refcounts.tableEntries - 1; block > 0; block--) {
    if (refcounts.blockOffset(block) !== 0) yield* dropBlock(state, refcounts, block);
  }
  yield* wait(state.storage.flush());
  const end = yield* endOfUse(state, refcounts);
  if ((yield* wait(state.storage.size())) <= end) return;
  yield* wait(state.storage.truncate(end));
  state.knownSize = end;
}

/** Moves the active L1 table to the first place that is free, when that lies before its own. */
export function* moveL1Down(state: Qcow2State, refcounts: Refcounts): Steps<void> {
  const { clusterSize, header, l1 } = state;
  if (l1.length === 0) return;
  const padded = new Uint8Array(Math.ceil(l1.length / clusterSize) * clusterSize);
  padded.set(l1);
  const place = yield* allocate(state, padded.length / clusterSize);
  const old = header.l1TableOffset;
  if (place > old) {
    yield* refcounts.change(place, padded.length, -1);
    return;
  }
  yield* wait(state.storage.write(place, padded));
  yield* wait(state.writeBack());
  yield* writeDisk(state, { size: header.size, l1Size: l1.length / TABLE_ENTRY, l1TableOffset: place });
  state.useL1(l1);
  state.pendingFrees.push([old, l1.length]);
  yield* wait(state.writeBack());
}

function* dropBlock(state: Qcow2State, refcounts: Refcounts, block: number): Steps<void> {
  const { clusterSize } = state;
  const offset = refcounts.blockOffset(block);
  const own = offset / clusterSize;
  const first = block * refcounts.perBlock;
  for (let cluster = first; cluster < first + refcounts.perBlock; cluster++) {
    if (cluster !== own && (yield* refcounts.get(cluster)) !== 0) return;
  }
  refcounts.dropBlock(block);
  yield* refcounts.writeBack();
  // A block that counted itself took its own count with it.
  if (Math.floor(own / refcounts.perBlock) === block) return;
  yield* wait(state.storage.flush());
  yield* refcounts.change(offset, clusterSize, -1);
  yield* refcounts.writeBack();
}

/** The byte behind the last cluster with a count. */
function* endOfUse(state: Qcow2State, refcounts: Refcounts): Steps<number> {
  for (let block = refcounts.tableEntries - 1; block >= 0; block--) {
    if (refcounts.blockOffset(block) === 0) continue;
    for (
      let cluster = (block + 1) * refcounts.perBlock - 1;
      cluster >= block * refcounts.perBlock;
      cluster--
    ) {
      if ((yield* refcounts.get(cluster)) !== 0) return (cluster + 1) * state.clusterSize;
    }
  }
  return state.clusterSize;
}

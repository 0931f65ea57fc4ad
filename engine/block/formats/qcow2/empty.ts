/**
 * Taking everything out of the active disk, so that the backing file shows through (QEMU: qcow2_make_empty). An empty L1 table is
 * switched to in one write; what the old one led to is given back after that.
 */
import { wait, type Steps } from '../../../maybe.ts';
import { writeDirtyBit, writeDisk } from './header-update.ts';
import { releaseAll } from './references.ts';
import type { Refcounts } from './refcount.ts';
import { moveL1Down, trimEnd } from './trim.ts';
import { allocate } from './allocation.ts';
import type { Qcow2State } from './state.ts';

/** Internal snapshots and bitmaps stay. */
export function* emptyQcow2(state: Qcow2State, refcounts: Refcounts): Steps<void> {
  if (state.broken !== undefined) throw state.broken;
  yield* state.tracker.finish();
  yield* wait(state.writeBack());
  const { header, clusterSize, l1 } = state;
  if (l1.length === 0) return;
  const old = header.l1TableOffset;
  const empty = new Uint8Array(l1.length);
  yield* writeDirtyBit(state, true);
  const clusters = Math.ceil(l1.length / clusterSize);
  const l1TableOffset = yield* allocate(state, clusters);
  yield* wait(state.storage.write(l1TableOffset, new Uint8Array(clusters * clusterSize)));
  yield* wait(state.writeBack());
  yield* writeDisk(state, { size: header.size, l1Size: header.l1Size, l1TableOffset });
  state.useL1(empty);
  yield* releaseAll(refcounts, l1, old);
  yield* wait(state.writeBack());
  yield* moveL1Down(state, refcounts);
  yield* trimEnd(state, refcounts);
  yield* writeDirtyBit(state, false);
}

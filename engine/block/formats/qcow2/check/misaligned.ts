/** Entries of preallocated clusters that lead to no cluster's start: nothing is stored there, so they can be mended (QEMU: fix_l2_entry_by_zero). */
import { wait, type Steps } from '../../../../maybe.ts';
import { COMPRESSED_HIGH, TABLE_ENTRY, ZERO_LOW } from '../constants.ts';
import { holdsData, hostOffset } from '../entry.ts';
import type { Qcow2State } from '../state.ts';
import { misaligned } from './words.ts';

/** They read as before, zeroes or the backing image, and have no place. What was done, one line for each. */
export function* mendMisaligned(state: Qcow2State): Steps<string[]> {
  const done: string[] = [];
  for (let index = 0; index < state.l1.length / TABLE_ENTRY; index++) {
    const table = state.l2Offset(index);
    if (table === 0 || table % state.clusterSize !== 0) continue;
    for (let at = 0; at < state.clusterSize; at += state.mapping.sliceBytes) {
      const slice = yield* wait(state.mapping.get(table + at));
      const before = done.length;
      mendSlice(state, slice.view, done);
      if (done.length > before) state.mapping.markDirty(slice);
    }
  }
  return done;
}

function mendSlice(state: Qcow2State, view: DataView, done: string[]): void {
  for (let at = 0; at < view.byteLength; at += state.l2EntryBytes) {
    const high = view.getUint32(at);
    const low = view.getUint32(at + 4);
    const host = hostOffset(high, low);
    if ((high & COMPRESSED_HIGH) !== 0 || host % state.clusterSize === 0) continue;
    if (holdsData(low, state.extendedL2 ? view.getUint32(at + 12) : undefined)) continue;
    view.setUint32(at, 0);
    // What the zero bits of subclusters say stays true.
    view.setUint32(at + 4, state.extendedL2 ? 0 : ZERO_LOW);
    done.push(`Repairing ${misaligned(host, 'Preallocated')}`);
  }
}

/** L2 tables of one's own: made when missing, copied when a snapshot shares them. */
import { wait, type Steps } from '../../../maybe.ts';
import { COPIED_HIGH, TABLE_ENTRY } from './constants.ts';
import { allocate } from './allocation.ts';
import type { Qcow2State } from './state.ts';

/** Byte of an L2 table for `l1Index` that may be changed in place. */
export function* ownL2Table(state: Qcow2State, l1Index: number): Steps<number> {
  const old = state.l2Offset(l1Index);
  if (old !== 0 && state.l2IsOwn(l1Index)) return old;
  const table = yield* allocate(state, 1);
  state.mapping.forget(table, state.clusterSize);
  if (old === 0) {
    yield* wait(state.storage.writeZeroes(table, state.clusterSize));
  } else {
    const copy = new Uint8Array(state.clusterSize);
    yield* wait(state.storage.read(old, copy));
    yield* wait(state.storage.write(table, copy));
    state.pendingFrees.push([old, state.clusterSize]);
    state.metadata?.l2Tables.remove(old);
  }
  setL1Entry(state, l1Index, table);
  return table;
}

/** Points the active L1 table, in memory, to a table of one's own (0: to none). */
export function setL1Entry(state: Qcow2State, l1Index: number, table: number): void {
  const flag = table === 0 ? 0 : COPIED_HIGH;
  state.l1View.setUint32(l1Index * TABLE_ENTRY, (Math.floor(table / 2 ** 32) | flag) >>> 0);
  state.l1View.setUint32(l1Index * TABLE_ENTRY + 4, table % 2 ** 32);
  state.dirtyL1.add(l1Index);
  if (table !== 0) state.metadata?.l2Tables.add(table);
}

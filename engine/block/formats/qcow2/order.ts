/**
 * The order in which metadata reaches the file, so that the image is sound whenever the power fails: at worst clusters leak.
 *
 * 1. data, the first contents of new tables, and reference counts that rose; made stable. 2. L2 and L1 entries; made stable.
 * 3. reference counts that fall: a cluster is free for others only when no pointer to it can come back.
 */
import { wait, type Steps } from '../../../maybe.ts';
import { TABLE_ENTRY } from './constants.ts';
import type { Qcow2State } from './state.ts';

export function* writeBackInOrder(state: Qcow2State): Steps<void> {
  const { refcounts } = state;
  if (refcounts === undefined) return;
  yield* refcounts.writeBack();
  const frees = state.pendingFrees;
  if (state.mapping.dirty || state.dirtyL1.size > 0 || frees.length > 0) {
    yield* flushStorages(state);
    if (state.mapping.dirty) yield* wait(state.mapping.writeBack());
    if (state.dirtyL1.size > 0) yield* writeL1(state);
  }
  if (frees.length === 0) return;
  yield* wait(state.storage.flush());
  state.pendingFrees = [];
  for (const [offset, length] of frees) yield* refcounts.change(offset, length, -1);
  yield* refcounts.writeBack();
}

/** Data and metadata so far onto stable storage. */
export function* flushStorages(state: Qcow2State): Steps<void> {
  if (state.externalData) yield* wait(state.dataStorage.flush());
  yield* wait(state.storage.flush());
}

function* writeL1(state: Qcow2State): Steps<void> {
  // Entries that lie together go together, a sector at most, as the specification expects of atomic updates.
  const indices = [...state.dirtyL1].sort((a, b) => a - b);
  for (let start = 0; start < indices.length;) {
    let end = start + 1;
    while (end < indices.length && indices[end] === indices[end - 1] + 1 && end - start < 64) end++;
    const from = indices[start] * TABLE_ENTRY;
    const length = (end - start) * TABLE_ENTRY;
    state.metadata?.checkTableWrite('active L1 table', state.header.l1TableOffset + from, length);
    yield* wait(
      state.storage.write(state.header.l1TableOffset + from, state.l1.subarray(from, from + length)),
    );
    start = end;
  }
  state.dirtyL1.clear();
}

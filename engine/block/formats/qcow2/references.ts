/** Reference counts of everything that hangs below an L1 table, and the copied flags that follow from them. */
import { isPromise, wait, type Steps } from '../../../maybe.ts';
import { COPIED_HIGH, TABLE_ENTRY } from './constants.ts';
import { clusterKind, compressedPlace, hostOffset } from './entry.ts';
import { corruptEntry } from './errors.ts';
import { maxRefcount } from './refcount-width.ts';
import type { Refcounts } from './refcount.ts';
import type { Qcow2State } from './state.ts';

/** What one L1 entry leads to, called with byte and length in the file: the L2 table, then all that it points to. */
type Visit = (offset: number, length: number) => Steps<void>;

/** Follows an L1 table, as in the file. Data in an external file has no counts and is left out. */
export function* followReferences(state: Qcow2State, l1: Uint8Array, visit: Visit): Steps<void> {
  const view = new DataView(l1.buffer, l1.byteOffset, l1.byteLength);
  const table = new Uint8Array(state.clusterSize);
  for (let at = 0; at < l1.length; at += TABLE_ENTRY) {
    const offset = hostOffset(view.getUint32(at), view.getUint32(at + 4));
    if (offset === 0) continue;
    if (offset % state.clusterSize !== 0) {
      throw corruptEntry(state.image, 'L1', at, `points to ${offset}, not a cluster's start`);
    }
    yield* visit(offset, state.clusterSize);
    yield* wait(state.storage.read(offset, table));
    if (!state.externalData) yield* followTable(state, table, visit);
  }
}

function* followTable(state: Qcow2State, table: Uint8Array, visit: Visit): Steps<void> {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  for (let at = 0; at < table.length; at += state.l2EntryBytes) {
    const high = view.getUint32(at);
    const low = view.getUint32(at + 4);
    if (clusterKind(high, low) === 'compressed') {
      const place = compressedPlace(high, low, state.header.clusterBits);
      yield* visit(place.offset, place.length);
    } else {
      const host = hostOffset(high, low);
      if (host !== 0) yield* visit(host, state.clusterSize);
    }
  }
}

/** Adds a reference to everything below `l1`. A count that is full throws `qcow2.refcount-overflow` before any is changed. */
export function* shareAll(state: Qcow2State, refcounts: Refcounts, l1: Uint8Array): Steps<void> {
  // Sixteen bits count more references than an image can have snapshots; fewer may not.
  if (maxRefcount(refcounts.order) < 65536) {
    yield* followReferences(state, l1, (offset, length) => refcounts.checkRoom(offset, length));
  }
  yield* followReferences(state, l1, (offset, length) => refcounts.change(offset, length, 1));
}

/** Takes a reference from everything below `l1`, and from the table's own clusters at `l1Offset`: nothing on disk points there. */
export function* releaseAll(refcounts: Refcounts, l1: Uint8Array, l1Offset: number): Steps<void> {
  const release = (offset: number, length: number): Steps<void> => refcounts.change(offset, length, -1);
  yield* followReferences(refcounts.state, l1, release);
  if (l1.length > 0) yield* release(l1Offset, l1.length);
}

/** Told of each entry whose flag was wrong: an entry of the L1 table by its index, one of an L2 table without; as it was. */
export type FlagMended = (index: number | undefined, high: number, low: number, refcount: number) => void;

/** Makes each copied flag below the active L1 table say what the counts say: set where the count is exactly one. How many it changed. */
export function* refreshCopied(state: Qcow2State, refcounts: Refcounts, mended?: FlagMended): Steps<number> {
  let changed = 0;
  for (let index = 0; index < state.l1.length / TABLE_ENTRY; index++) {
    const table = state.l2Offset(index);
    if (table === 0) continue;
    const count = yield* refcounts.get(table / state.clusterSize);
    const entry = index * TABLE_ENTRY;
    const [high, low] = [state.l1View.getUint32(entry), state.l1View.getUint32(entry + 4)];
    if (setFlag(state.l1View, entry, count === 1)) {
      mended?.(index, high, low, count);
      state.dirtyL1.add(index);
      changed++;
    }
    if (state.externalData) continue;
    for (let at = 0; at < state.clusterSize; at += state.mapping.sliceBytes) {
      changed += yield* refreshSlice(state, refcounts, table + at, mended);
    }
  }
  return changed;
}

function* refreshSlice(
  state: Qcow2State,
  refcounts: Refcounts,
  offset: number,
  mended?: FlagMended,
): Steps<number> {
  let changed = 0;
  let slice = yield* wait(state.mapping.get(offset));
  for (let at = 0; at < slice.bytes.length; at += state.l2EntryBytes) {
    const high = slice.view.getUint32(at);
    const low = slice.view.getUint32(at + 4);
    const host = hostOffset(high, low);
    if (host === 0 || clusterKind(high, low) === 'compressed') continue;
    const count = yield* refcounts.get(host / state.clusterSize);
    const own = count === 1;
    if (own === ((high & COPIED_HIGH) !== 0)) continue;
    mended?.(undefined, high, low, count);
    // Looking at the counts may have pushed the slice out.
    const again = state.mapping.get(offset);
    slice = isPromise(again) ? yield* wait(again) : again;
    setFlag(slice.view, at, own);
    state.mapping.markDirty(slice);
    changed++;
  }
  return changed;
}

function setFlag(view: DataView, at: number, on: boolean): boolean {
  const high = view.getUint32(at);
  const wanted = (on ? high | COPIED_HIGH : high & ~COPIED_HIGH) >>> 0;
  if (wanted === high) return false;
  view.setUint32(at, wanted);
  return true;
}

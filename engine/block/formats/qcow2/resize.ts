/**
 * Another size of the guest's disk. Growing: a larger L1 table first, what would show through behind the old end is made zero, then
 * the header says the new size. Shrinking: the header first, then what lies behind the new end is given back, and the end of the file.
 */
import { wait, type Steps } from '../../../maybe.ts';
import { PlatterError } from '../../../errors.ts';
import { allocate } from './allocation.ts';
import { withBitmapsResized } from './bitmaps/resize.ts';
import { MAX_L1_BYTES, TABLE_ENTRY } from './constants.ts';
import { releaseEntry } from './entry-update.ts';
import { writeDisk } from './header-update.ts';
import { ownL2Table, setL1Entry } from './l2.ts';
import type { Qcow2State } from './state.ts';
import { trimEnd } from './trim.ts';
import { writeZeroesGuest } from './zero.ts';

/** `size` in bytes, a multiple of 512. Throws `resize.*`. */
export function* resizeQcow2(state: Qcow2State, size: number): Steps<void> {
  if (state.broken !== undefined) throw state.broken;
  checkPossible(state, size);
  const shrinks = size < state.header.size;
  yield* withBitmapsResized(state, function* () {
    yield* wait(state.writeBack());
    if (shrinks) yield* shrink(state, size);
    else yield* grow(state, size);
  });
  if (state.rawExternalData) yield* wait(state.dataStorage.truncate(size));
  yield* wait(state.writeBack());
  if (shrinks && state.refcounts !== undefined) yield* trimEnd(state, state.refcounts);
}

function checkPossible(state: Qcow2State, size: number): void {
  const entries = Math.ceil(size / state.l2Coverage);
  const most = (MAX_L1_BYTES / TABLE_ENTRY) * state.l2Coverage;
  if (entries * TABLE_ENTRY > MAX_L1_BYTES) {
    throw new PlatterError(
      'resize.too-large',
      `"${state.image}" cannot have ${size} bytes: clusters of ${state.clusterSize} bytes reach to ${most}`,
      { image: state.image, field: 'size', value: String(size), expected: `at most ${most} bytes` },
    );
  }
  if (state.snapshots.length > 0 && state.header.version < 3) {
    throw new PlatterError(
      'resize.old-snapshots',
      `"${state.image}" is of version 2, whose snapshots do not know their size: it cannot be resized`,
      {
        image: state.image,
        field: 'snapshots',
        hint: 'Delete its snapshots or upgrade it to compat=1.1 first.',
      },
    );
  }
}

function* grow(state: Qcow2State, size: number): Steps<void> {
  const old = state.header.size;
  const needed = Math.ceil(size / state.l2Coverage);
  // What an earlier shrink or a machine's saved state left behind the end is no part of the disk.
  yield* dropFrom(state, old);
  yield* wait(state.writeBack());
  if (needed > state.header.l1Size) yield* enlargeL1(state, needed);
  const shown = Math.min(size, Math.max(state.backing?.virtualSize ?? 0, clusterEnd(state, old)));
  state.header.size = size;
  try {
    if (shown > old) yield* writeZeroesGuest(state, old, shown - old, false);
    yield* wait(state.writeBack());
  } catch (error) {
    state.header.size = old;
    throw error;
  }
  const { l1Size, l1TableOffset } = state.header;
  yield* writeDisk(state, { size, l1Size, l1TableOffset });
}

function* enlargeL1(state: Qcow2State, entries: number): Steps<void> {
  const { clusterSize, header } = state;
  const l1 = new Uint8Array(entries * TABLE_ENTRY);
  l1.set(state.l1);
  const padded = new Uint8Array(Math.ceil(l1.length / clusterSize) * clusterSize);
  padded.set(l1);
  const l1TableOffset = yield* allocate(state, padded.length / clusterSize);
  yield* wait(state.storage.write(l1TableOffset, padded));
  yield* wait(state.writeBack());
  const freed: [number, number] = [header.l1TableOffset, state.l1.length];
  yield* writeDisk(state, { size: header.size, l1Size: entries, l1TableOffset });
  state.useL1(l1);
  if (freed[1] > 0) state.pendingFrees.push(freed);
}

function* shrink(state: Qcow2State, size: number): Steps<void> {
  const { l1Size, l1TableOffset } = state.header;
  yield* writeDisk(state, { size, l1Size, l1TableOffset });
  yield* dropFrom(state, size);
  yield* wait(state.writeBack());
}

/** Takes everything out of the active tables that lies wholly behind byte `from`. */
function* dropFrom(state: Qcow2State, from: number): Steps<void> {
  const { l2Coverage, l2EntryBytes } = state;
  for (let index = Math.floor(from / l2Coverage); index < state.l1.length / TABLE_ENTRY; index++) {
    if (state.l2Offset(index) === 0) continue;
    const start = Math.max(clusterEnd(state, from), index * l2Coverage);
    const end = (index + 1) * l2Coverage;
    if (start >= end) continue;
    const table = yield* ownL2Table(state, index);
    for (let at = start; at < end; at += state.clusterSize) {
      const slice = yield* wait(state.mapping.get(state.sliceOffset(table, at)));
      const entry = state.entryInSlice(at);
      if (slice.bytes.subarray(entry, entry + l2EntryBytes).every((byte) => byte === 0)) continue;
      releaseEntry(state, slice, entry);
      slice.bytes.fill(0, entry, entry + l2EntryBytes);
      state.mapping.markDirty(slice);
    }
    if (start === index * l2Coverage) {
      // The emptied table itself goes too, once its entries are out of reach.
      yield* wait(state.writeBack());
      setL1Entry(state, index, 0);
      state.pendingFrees.push([table, state.clusterSize]);
      state.metadata?.l2Tables.remove(table);
    }
  }
}

function clusterEnd(state: Qcow2State, offset: number): number {
  return Math.ceil(offset / state.clusterSize) * state.clusterSize;
}

/**
 * Preallocation: every cluster of a range gets its place beforehand, so that writing later changes no table (QEMU: preallocate_co).
 * The clusters read as zeroes: they lie where the file was not before.
 */
import { wait, type Steps } from '../../../maybe.ts';
import { allocateUpTo } from './allocation.ts';
import type { Slice } from './cache.ts';
import { SUBCLUSTERS, ZERO_LOW } from './constants.ts';
import { clusterKind } from './entry.ts';
import { setEntry } from './entry-update.ts';
import { ownL2Table } from './l2.ts';
import type { Qcow2State } from './state.ts';
import { bits, setBitmap } from './subclusters.ts';

const ALL_SUBCLUSTERS = bits(0, SUBCLUSTERS - 1);

export interface Preallocating {
  full: boolean;
  /** The range was added to a disk: it reads as zeroes, whatever lies there in a backing image. */
  grown: boolean;
}

/**
 * Gives the clusters from guest byte `from` (a cluster's start) to `to` their places; those that have one keep it. Called for what was
 * just added to a disk, or for a new one. `full` writes the zeroes, so that the space is taken, too; Node cannot reserve it otherwise.
 */
export function* preallocateQcow2(
  state: Qcow2State,
  from: number,
  to: number,
  { full, grown }: Preallocating,
): Steps<void> {
  const { clusterSize } = state;
  let end = yield* wait(state.dataStorage.size());
  const zeroes = new Uint8Array(full ? Math.max(clusterSize, 1 << 20) : 0);
  for (let at = from; at < to;) {
    const l1Index = Math.floor(at / state.l2Coverage);
    const table = yield* ownL2Table(state, l1Index);
    const sliceAt = state.sliceOffset(table, at);
    const first = state.entryInSlice(at);
    const room = (state.mapping.sliceBytes - first) / state.l2EntryBytes;
    const wanted = Math.min(room, Math.ceil((to - at) / clusterSize));
    const free = yield* freeRun(state, sliceAt, first, wanted);
    if (free === 0) {
      at += clusterSize;
      continue;
    }
    const run = state.externalData
      ? { start: at / clusterSize, count: free }
      : yield* allocateUpTo(state, free);
    const host = run.start * clusterSize;
    const length = run.count * clusterSize;
    if (full) {
      for (let done = 0; done < length; done += zeroes.length) {
        const part = zeroes.subarray(0, Math.min(zeroes.length, length - done));
        yield* wait(state.dataStorage.write(host + done, part));
      }
    }
    // Space that was used and freed before may hold anything.
    if (!full && host < end && !state.externalData)
      yield* wait(state.dataStorage.writeZeroes(host, Math.min(length, end - host)));
    end = Math.max(end, host + length);
    const slice = yield* wait(state.mapping.get(sliceAt));
    for (let index = 0; index < run.count; index++) {
      const entry = first + index * state.l2EntryBytes;
      givePlace(state, slice, entry, host + index * clusterSize, full && grown);
    }
    state.mapping.markDirty(slice);
    at += length;
  }
  const size = yield* wait(state.dataStorage.size());
  if (!state.externalData && size < end) yield* wait(state.dataStorage.truncate(end));
  if (state.externalData && size < to) yield* wait(state.dataStorage.truncate(to));
  yield* wait(state.writeBack());
}

/**
 * The entry keeps what it showed: zeroes, nothing, or the backing image (QEMU: l2meta.prealloc). Only `stored` zeroes become data of
 * its own.
 */
function givePlace(state: Qcow2State, slice: Slice, entry: number, host: number, stored: boolean): void {
  const zero = slice.view.getUint32(entry + 4) & ZERO_LOW;
  setEntry(slice, entry, host);
  if (state.extendedL2)
    setBitmap(slice, entry, stored ? 0 : slice.view.getUint32(entry + 8), stored ? ALL_SUBCLUSTERS : 0);
  else if (!stored && zero !== 0) slice.view.setUint32(entry + 4, ((host % 2 ** 32) | ZERO_LOW) >>> 0);
}

/** How many entries from `first` on have no place yet. */
function* freeRun(state: Qcow2State, sliceAt: number, first: number, wanted: number): Steps<number> {
  const { view } = yield* wait(state.mapping.get(sliceAt));
  let free = 0;
  while (free < wanted) {
    const at = first + free * state.l2EntryBytes;
    const kind = clusterKind(view.getUint32(at), view.getUint32(at + 4), state.externalData);
    if (kind !== 'unallocated' && kind !== 'zero') break;
    free++;
  }
  return free;
}

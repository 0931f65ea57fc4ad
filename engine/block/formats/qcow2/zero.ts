/** Zero clusters and discards: changing entries instead of writing bytes. */
import { ZEROES } from '../../../bytes/zeroes.ts';
import { wait, type Steps } from '../../../maybe.ts';
import type { Slice } from './cache.ts';
import { SUBCLUSTERS, ZERO_LOW } from './constants.ts';
import { clusterKind } from './entry.ts';
import { releaseEntry } from './entry-update.ts';
import { ownL2Table } from './l2.ts';
import type { Qcow2State } from './state.ts';
import { bits, readEntry, setBitmap } from './subclusters.ts';
import { settle, writeGuest } from './write.ts';

/** What happens to the entries of whole clusters. */
type Change = 'zero' | 'zero-unmap' | 'discard' | 'pin';

/** Makes the range read as zeroes: whole clusters (subclusters) by their entries, edges by writing. */
export function* writeZeroesGuest(
  state: Qcow2State,
  offset: number,
  length: number,
  unmap: boolean,
): Steps<void> {
  if (state.broken !== undefined) throw state.broken;
  yield* state.tracker.note(offset, length);
  // An external raw file must read the same without its image.
  if (state.rawExternalData) yield* wait(state.dataStorage.writeZeroes(offset, length));
  const unit = state.extendedL2 ? state.clusterSize / SUBCLUSTERS : state.clusterSize;
  const end = offset + length;
  const from = Math.ceil(offset / unit) * unit;
  // The last cluster counts as whole when the disk ends within it.
  const to = end === state.virtualSize ? Math.ceil(end / unit) * unit : Math.floor(end / unit) * unit;
  const flagless = state.header.version < 3;
  if (from >= to || (flagless && state.backing !== undefined)) {
    yield* writeOut(state, offset, length);
    return;
  }
  if (from > offset) yield* writeOut(state, offset, from - offset);
  yield* changeEntries(state, from, to, flagless ? 'discard' : unmap ? 'zero-unmap' : 'zero');
  if (end > to) yield* writeOut(state, to, end - to);
}

/**
 * Makes every cluster that the range covers whole read as zeroes by its own entry, even where it does so now only because nothing
 * shows through: before the backing file changes. Version 3; `from` and `to` at cluster borders.
 */
export function* pinZeroes(state: Qcow2State, from: number, to: number): Steps<void> {
  if (state.broken !== undefined) throw state.broken;
  yield* state.tracker.note(from, Math.min(to, state.virtualSize) - from);
  yield* changeEntries(state, from, to, 'pin');
}

/** Gives whole clusters back. They read as zeroes after it (version 2 with a backing file: as the backing file). */
export function* discardGuest(state: Qcow2State, offset: number, length: number): Steps<void> {
  if (state.broken !== undefined) throw state.broken;
  yield* state.tracker.note(offset, length);
  if (state.rawExternalData) return;
  const { clusterSize } = state;
  const end = offset + length;
  const from = Math.ceil(offset / clusterSize) * clusterSize;
  const to =
    end === state.virtualSize
      ? Math.ceil(end / clusterSize) * clusterSize
      : Math.floor(end / clusterSize) * clusterSize;
  if (from < to) yield* changeEntries(state, from, to, 'discard');
}

/** Writes zeroes as data, unless they are there already. */
function* writeOut(state: Qcow2State, offset: number, length: number): Steps<void> {
  for (let done = 0; done < length;) {
    const count = Math.min(
      state.clusterSize - ((offset + done) % state.clusterSize),
      length - done,
      ZEROES.length,
    );
    if (!(yield* wait(state.readsAsZero(offset + done, count)))) {
      yield* writeGuest(state, offset + done, ZEROES.subarray(0, count));
    }
    done += count;
  }
}

function* changeEntries(state: Qcow2State, from: number, to: number, change: Change): Steps<void> {
  for (let at = from; at < to;) {
    const l1Index = Math.floor(at / state.l2Coverage);
    const tableEnd = Math.min(to, (l1Index + 1) * state.l2Coverage);
    // Nothing is mapped and nothing shows through: it reads as zeroes as it is.
    const shows = change === 'pin' || (state.backing !== undefined && change !== 'discard');
    if (state.l2Offset(l1Index) === 0 && !shows) {
      at = tableEnd;
      continue;
    }
    const table = yield* ownL2Table(state, l1Index);
    while (at < tableEnd) {
      const slice = yield* wait(state.mapping.get(state.sliceOffset(table, at)));
      while (at < tableEnd) {
        const entry = state.entryInSlice(at);
        const clusterEnd = at - (at % state.clusterSize) + state.clusterSize;
        const last = Math.min(tableEnd, clusterEnd);
        if (state.extendedL2 && last - at < state.clusterSize && readEntry(slice, entry).compressed) {
          // A part of a compressed cluster has no bit of its own.
          yield* writeOut(state, at, last - at);
          at = last;
          break;
        }
        if (state.extendedL2) changeExtended(state, slice, entry, at, last, change);
        else changeEntry(state, slice, entry, change);
        state.mapping.markDirty(slice);
        at = last;
        if (entry + state.l2EntryBytes >= slice.bytes.length) break;
      }
      yield* settle(state);
    }
  }
}

function changeEntry(state: Qcow2State, slice: Slice, at: number, change: Change): void {
  const high = slice.view.getUint32(at);
  const low = slice.view.getUint32(at + 4);
  const kind = clusterKind(high, low, state.externalData);
  const keeps = change === 'zero' && (kind === 'normal' || kind === 'zero-allocated');
  if (keeps) {
    slice.view.setUint32(at + 4, (low | ZERO_LOW) >>> 0);
    return;
  }
  // A discarded cluster that was never there keeps showing the backing file.
  if (change === 'discard' && (kind === 'unallocated' || (kind === 'zero' && state.backing !== undefined)))
    return;
  releaseEntry(state, slice, at);
  const flag =
    change === 'discard' && (state.header.version < 3 || state.backing === undefined) ? 0 : ZERO_LOW;
  slice.view.setUint32(at, 0);
  slice.view.setUint32(at + 4, flag);
}

function changeExtended(
  state: Qcow2State,
  slice: Slice,
  at: number,
  from: number,
  to: number,
  change: Change,
): void {
  const size = state.clusterSize / SUBCLUSTERS;
  const start = from - (from % state.clusterSize);
  const before = readEntry(slice, at);
  const range = bits((from - start) / size, Math.ceil((to - start) / size) - 1);
  const whole = range === bits(0, SUBCLUSTERS - 1);
  if (change === 'discard' && before.host === 0 && !before.compressed && before.zero === 0) return;
  const zero = (before.compressed ? 0 : before.zero) | range;
  const allocated = (before.compressed ? 0 : before.allocated) & ~range;
  const gone = whole && (change !== 'zero' || before.compressed);
  if (gone) {
    releaseEntry(state, slice, at);
    slice.view.setUint32(at, 0);
    slice.view.setUint32(at + 4, 0);
  }
  const keepZero = !(change === 'discard' && state.backing === undefined && gone);
  setBitmap(slice, at, keepZero ? zero : 0, allocated);
}

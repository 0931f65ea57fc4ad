/**
 * Writing with extended L2 entries: a cluster is 32 subclusters, each with a bit for "allocated" and one for "reads as zeroes"
 * (specification, "Extended L2 Entries"). Only the subclusters at the edges of a write are copied.
 */
import { wait, type Steps } from '../../../maybe.ts';
import { pastEnd } from '../../padded.ts';
import { allocate } from './allocation.ts';
import type { Slice } from './cache.ts';
import { SUBCLUSTERS } from './constants.ts';
import { copyGuest } from './cow.ts';
import { clusterKind, hostOffset, isCopied } from './entry.ts';
import { ownL2Table } from './l2.ts';
import type { Qcow2State } from './state.ts';
import { releaseEntry, setEntry } from './entry-update.ts';

/** Writes within one cluster; the number of bytes. */
export function* writeSubclusters(state: Qcow2State, offset: number, source: Uint8Array): Steps<number> {
  const { clusterSize } = state;
  const within = offset % clusterSize;
  const length = Math.min(source.length, clusterSize - within);
  const table = yield* ownL2Table(state, Math.floor(offset / state.l2Coverage));
  const sliceAt = state.sliceOffset(table, offset);
  const at = state.entryInSlice(offset);
  const before = readEntry(yield* wait(state.mapping.get(sliceAt)), at);
  const own = (before.host !== 0 || state.externalData) && before.copied && !before.compressed;
  const host = own ? before.host : yield* place(state, offset - within);
  // A shared or compressed cluster is copied whole; in one's own only the subclusters that are touched in part.
  const size = clusterSize / SUBCLUSTERS;
  const whole = !own && (before.allocated !== 0 || before.compressed);
  const first = whole ? 0 : Math.floor(within / size);
  const last = whole ? SUBCLUSTERS - 1 : Math.floor((within + length - 1) / size);
  if (!state.externalData) {
    yield* state.metadata!.checkNew('data', host, clusterSize);
    state.knownSize = yield* wait(state.storage.size());
    if (own && host >= state.knownSize) throw pastEnd(state.image, host, state.knownSize);
  }
  yield* copyEdges(state, offset, length, host, { first, last, allocated: own ? before.allocated : 0 });
  yield* wait(state.dataStorage.write(host + within, source.subarray(0, length)));
  const slice = yield* wait(state.mapping.get(sliceAt));
  if (!own) {
    releaseEntry(state, slice, at);
    setEntry(slice, at, host);
    if (before.compressed) setBitmap(slice, at, 0, 0);
  }
  const written = bits(first, last);
  const kept = own ? before.allocated : 0;
  setBitmap(slice, at, (before.compressed ? 0 : before.zero) & ~written, kept | written);
  state.mapping.markDirty(slice);
  return length;
}

interface Edges {
  /** Subclusters that will be allocated when the write is done. */
  first: number;
  last: number;
  /** Those that are there already and keep their contents. */
  allocated: number;
}

function* copyEdges(
  state: Qcow2State,
  offset: number,
  length: number,
  host: number,
  edges: Edges,
): Steps<void> {
  const { clusterSize } = state;
  const size = clusterSize / SUBCLUSTERS;
  const start = offset - (offset % clusterSize);
  const fileSize = yield* wait(state.dataStorage.size());
  // Subclusters of an existing cluster may hold anything: what lies within the file is always written.
  for (let index = edges.first; index <= edges.last; index++) {
    if (((edges.allocated >>> index) & 1) !== 0) continue;
    const from = start + index * size;
    const head = Math.min(size, Math.max(0, offset - from));
    const tail = Math.min(size, Math.max(0, from + size - (offset + length)));
    if (head > 0) yield* copyGuest(state, from, head, host + index * size, fileSize);
    if (tail > 0 && head < size) {
      yield* copyGuest(state, from + size - tail, tail, host + (index + 1) * size - tail, fileSize);
    }
  }
}

function* place(state: Qcow2State, guest: number): Steps<number> {
  return state.externalData ? guest : yield* allocate(state, 1);
}

interface SubclusterEntry {
  host: number;
  copied: boolean;
  compressed: boolean;
  allocated: number;
  zero: number;
}

export function readEntry(slice: Slice, at: number): SubclusterEntry {
  const high = slice.view.getUint32(at);
  const low = slice.view.getUint32(at + 4);
  const compressed = clusterKind(high, low) === 'compressed';
  return {
    host: compressed ? 0 : hostOffset(high, low),
    copied: isCopied(high),
    compressed,
    zero: slice.view.getUint32(at + 8),
    allocated: slice.view.getUint32(at + 12),
  };
}

export function setBitmap(slice: Slice, at: number, zero: number, allocated: number): void {
  slice.view.setUint32(at + 8, zero >>> 0);
  slice.view.setUint32(at + 12, allocated >>> 0);
}

/** Ones from bit `first` to bit `last`. */
export function bits(first: number, last: number): number {
  return (2 ** (last + 1) - 2 ** first) >>> 0;
}

/** Where guest bytes lie: through the L1 table and one slice of an L2 table to the longest run of one kind. */
import { isPromise, type Maybe } from '../../../maybe.ts';
import type { ExtentSlot } from '../../format.ts';
import type { Slice } from './cache.ts';
import { SUBCLUSTERS } from './constants.ts';
import { clusterKind, compressedPlace, hostOffset, isCopied, type ClusterKind } from './entry.ts';
import { corruptEntry } from './errors.ts';
import type { Qcow2State } from './state.ts';

/** The driver's `locate`. Runs end with a slice of the table (32 MiB of disk at the default cluster size). */
export function locate(state: Qcow2State, offset: number, length: number, out: ExtentSlot): Maybe<void> {
  const l1Index = Math.floor(offset / state.l2Coverage);
  const table = state.l2Offset(l1Index);
  if (table === 0) {
    out.unallocated(Math.min(length, emptyUntil(state, l1Index, offset + length) - offset));
    return;
  }
  const max = Math.min(length, (l1Index + 1) * state.l2Coverage - offset);
  const slice = state.mapping.get(state.sliceOffset(table, offset));
  if (isPromise(slice)) return slice.then((there) => locateIn(state, there, offset, max, out));
  locateIn(state, slice, offset, max, out);
}

/** The end of the stretch without L2 tables that `l1Index` begins; not searched beyond `end`. */
function emptyUntil(state: Qcow2State, l1Index: number, end: number): number {
  let next = l1Index + 1;
  while (next * state.l2Coverage < end && state.l2Offset(next) === 0) next++;
  return next * state.l2Coverage;
}

function locateIn(state: Qcow2State, slice: Slice, offset: number, max: number, out: ExtentSlot): void {
  if (state.extendedL2) locateSubclusters(state, slice, offset, max, out);
  else locateClusters(state, slice, offset, max, out);
}

function locateClusters(state: Qcow2State, slice: Slice, offset: number, max: number, out: ExtentSlot): void {
  const { view } = slice;
  const { clusterSize } = state;
  const first = state.entryInSlice(offset);
  const high = view.getUint32(first);
  const low = view.getUint32(first + 4);
  const kind = clusterKind(high, low, state.externalData);
  const within = offset % clusterSize;
  if (kind === 'compressed') return compressed(state, high, low, Math.min(max, clusterSize - within), out);
  const host = hostOffset(high, low);
  checkHost(state, slice, first, host);
  const copied = isCopied(high);
  const placed = kind === 'normal' || kind === 'zero-allocated';
  let run = clusterSize - within;
  for (let at = first + 8; run < max && at < slice.bytes.length; at += 8, run += clusterSize) {
    const nextHigh = view.getUint32(at);
    const nextLow = view.getUint32(at + 4);
    if (clusterKind(nextHigh, nextLow, state.externalData) !== kind) break;
    if (placed && hostOffset(nextHigh, nextLow) !== host + within + run) break;
    // Data that is shared with a snapshot may be read in one go with data that is not; only a writer has to know.
    if (!state.readOnly && isCopied(nextHigh) !== copied) break;
  }
  fill(state, kind, Math.min(run, max), host + within, copied, out);
}

/** The same with extended L2 entries: 32 subclusters per cluster, a bit each for allocated and for zero. */
function locateSubclusters(
  state: Qcow2State,
  slice: Slice,
  offset: number,
  max: number,
  out: ExtentSlot,
): void {
  const { view } = slice;
  const { clusterSize } = state;
  const size = clusterSize / SUBCLUSTERS;
  const first = state.entryInSlice(offset);
  const high = view.getUint32(first);
  const low = view.getUint32(first + 4);
  const within = offset % clusterSize;
  if (clusterKind(high, low) === 'compressed') {
    return compressed(state, high, low, Math.min(max, clusterSize - within), out);
  }
  const host = hostOffset(high, low);
  checkHost(state, slice, first, host);
  const copied = isCopied(high);
  const kind = subclusterKind(state, slice, first, Math.floor(within / size));
  const placed = host !== 0 || kind === 'normal';
  let run = size - (within % size);
  for (let at = first, index = Math.floor(within / size) + 1; run < max; index++, run += size) {
    if (index === SUBCLUSTERS) {
      index = 0;
      at += 16;
      if (at >= slice.bytes.length) break;
      const nextHigh = view.getUint32(at);
      const nextLow = view.getUint32(at + 4);
      if (clusterKind(nextHigh, nextLow) === 'compressed') break;
      const nextHost = hostOffset(nextHigh, nextLow);
      if (placed ? nextHost !== host + within + run : nextHost !== 0) break;
      if (!state.readOnly && isCopied(nextHigh) !== copied) break;
    }
    if (subclusterKind(state, slice, at, index) !== kind) break;
  }
  // Room that is reserved for a subcluster is told, even while the backing image still shows through.
  if (kind === 'unallocated' && placed) out.unallocated(Math.min(run, max), state.dataStorage, host + within);
  else fill(state, kind, Math.min(run, max), host + within, copied, out);
}

/** The kind of one subcluster, as QEMU's qcow2_get_subcluster_type tells it. */
export function subclusterKind(state: Qcow2State, slice: Slice, at: number, index: number): ClusterKind {
  const { view } = slice;
  const host = hostOffset(view.getUint32(at), view.getUint32(at + 4));
  const zero = ((view.getUint32(at + 8) >>> index) & 1) !== 0;
  const allocated = ((view.getUint32(at + 12) >>> index) & 1) !== 0;
  if (zero && allocated) {
    throw corruptEntry(
      state.image,
      'L2',
      slice.offset + at,
      `calls subcluster ${index} both allocated and zero`,
    );
  }
  if (allocated) {
    if (host === 0 && !state.externalData) {
      throw corruptEntry(
        state.image,
        'L2',
        slice.offset + at,
        `calls subcluster ${index} allocated, but has no offset`,
      );
    }
    return 'normal';
  }
  if (zero) return host === 0 ? 'zero' : 'zero-allocated';
  return 'unallocated';
}

function fill(
  state: Qcow2State,
  kind: ClusterKind,
  length: number,
  host: number,
  copied: boolean,
  out: ExtentSlot,
): void {
  switch (kind) {
    case 'normal':
      out.data(
        length,
        state.dataStorage,
        host,
        copied && state.metadata !== undefined && inPlace(state, host, length),
      );
      out.encrypted = state.encryption !== undefined;
      break;
    case 'zero-allocated':
      out.zero(length, state.dataStorage, host);
      break;
    case 'zero':
      out.zero(length);
      break;
    default:
      out.unallocated(length);
  }
}

/** Data clusters on metadata or past the end of the file are never overwritten: the writer's path finds and reports them. */
function inPlace(state: Qcow2State, host: number, length: number): boolean {
  // The first write, and each that bitmaps must learn of, goes through the driver.
  if (state.encryption !== undefined) return false;
  if (state.broken !== undefined || !state.tracker.begun || state.tracker.tracking) return false;
  if (state.externalData) return true;
  return host < state.knownSize && state.metadata?.find(host, length) === undefined;
}

function compressed(state: Qcow2State, high: number, low: number, length: number, out: ExtentSlot): void {
  out.special(
    length,
    state.storage,
    compressedPlace(high, low, state.header.clusterBits).offset,
    'compressed',
  );
}

function checkHost(state: Qcow2State, slice: Slice, at: number, host: number): void {
  if (host % state.clusterSize !== 0) {
    throw corruptEntry(
      state.image,
      'L2',
      slice.offset + at,
      `points to ${host}, which is not a cluster's start`,
    );
  }
  if (host > Number.MAX_SAFE_INTEGER - 2 ** 43) {
    throw corruptEntry(state.image, 'L2', slice.offset + at, `points to ${host}, beyond any file`);
  }
}

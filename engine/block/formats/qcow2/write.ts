/**
 * Writing guest bytes where they cannot be overwritten in place: new clusters, copies of shared ones, reserved zero clusters.
 * Data first, then the entries that point to it (order.ts keeps that order on disk).
 */
import { wait, type Steps } from '../../../maybe.ts';
import type { Slice } from './cache.ts';
import { allocateUpTo } from './allocation.ts';
import { copyAround } from './cow.ts';
import { clusterKind, hostOffset, isCopied, type ClusterKind } from './entry.ts';
import { pastEnd } from '../../padded.ts';
import { releaseEntry, setEntry } from './entry-update.ts';
import { ownL2Table } from './l2.ts';
import type { Qcow2State } from './state.ts';
import { writeSubclusters } from './subclusters.ts';

/** A guest range cannot wait for more frees than this before they are settled. */
const MOST_PENDING = 4096;

/** Writes any range of the disk. */
export function* writeGuest(state: Qcow2State, offset: number, source: Uint8Array): Steps<void> {
  if (state.broken !== undefined) throw state.broken;
  yield* state.tracker.note(offset, source.length);
  for (let done = 0; done < source.length;) {
    const rest = source.subarray(done);
    done += state.extendedL2
      ? yield* writeSubclusters(state, offset + done, rest)
      : yield* writeRun(state, offset + done, rest);
    yield* settle(state);
  }
}

/** Keeps the list of pending frees short. */
export function* settle(state: Qcow2State): Steps<void> {
  if (state.pendingFrees.length > MOST_PENDING) yield* wait(state.writeBack());
}

/** How a run of clusters is to be written. */
interface Plan {
  /** `in-place`: overwrite; `reserved`: an own cluster that reads as zeroes; `new`: allocate. */
  how: 'in-place' | 'reserved' | 'new';
  clusters: number;
  /** Host offset of the first cluster, for `in-place` and `reserved`. */
  host: number;
}

/** Writes as much as one run of clusters takes; the number of bytes. */
function* writeRun(state: Qcow2State, offset: number, source: Uint8Array): Steps<number> {
  const { clusterSize } = state;
  const l1Index = Math.floor(offset / state.l2Coverage);
  const table = yield* ownL2Table(state, l1Index);
  const sliceAt = state.sliceOffset(table, offset);
  const first = state.entryInSlice(offset);
  const within = offset % clusterSize;
  const wanted = Math.ceil((within + source.length) / clusterSize);
  const plan = makePlan(state, yield* wait(state.mapping.get(sliceAt)), first, wanted);
  if (plan.how === 'new') yield* place(state, offset - within, plan);
  const length = Math.min(source.length, plan.clusters * clusterSize - within);
  if (!state.externalData) yield* checkPlace(state, plan, plan.host + within, length);
  if (plan.how !== 'in-place') {
    yield* copyAround(state, offset, length, plan.host + within, plan.clusters * clusterSize);
  }
  yield* wait(state.dataStorage.write(plan.host + within, source.subarray(0, length)));
  if (plan.how !== 'in-place') {
    const slice = yield* wait(state.mapping.get(sliceAt));
    for (let index = 0; index < plan.clusters; index++) {
      if (plan.how === 'new') releaseEntry(state, slice, first + index * 8);
      setEntry(slice, first + index * 8, plan.host + index * clusterSize);
    }
    state.mapping.markDirty(slice);
  }
  return length;
}

/** Data goes neither over tables nor, where an entry already points there, past the end of the file. */
function* checkPlace(state: Qcow2State, plan: Plan, host: number, length: number): Steps<void> {
  yield* state.metadata!.checkNew('data', host, length);
  state.knownSize = yield* wait(state.storage.size());
  const start = host - (host % state.clusterSize);
  if (plan.how === 'in-place' && start >= state.knownSize) {
    throw pastEnd(state.image, host, state.knownSize);
  }
}

function makePlan(state: Qcow2State, slice: Slice, first: number, wanted: number): Plan {
  const how = planOf(state, slice, first);
  const host = hostOffset(slice.view.getUint32(first), slice.view.getUint32(first + 4));
  const most = Math.min(wanted, (slice.bytes.length - first) / 8);
  let clusters = 1;
  for (; clusters < most; clusters++) {
    const at = first + clusters * 8;
    if (planOf(state, slice, at) !== how) break;
    const next = hostOffset(slice.view.getUint32(at), slice.view.getUint32(at + 4));
    if (how !== 'new' && next !== host + clusters * state.clusterSize) break;
  }
  return { how, clusters, host };
}

function planOf(state: Qcow2State, slice: Slice, at: number): Plan['how'] {
  const high = slice.view.getUint32(at);
  const kind: ClusterKind = clusterKind(high, slice.view.getUint32(at + 4), state.externalData);
  const own = isCopied(high) && state.broken === undefined;
  if (own && kind === 'normal') return 'in-place';
  return own && kind === 'zero-allocated' ? 'reserved' : 'new';
}

/** Finds room: in an external data file always at the guest's own offset. */
function* place(state: Qcow2State, guest: number, plan: Plan): Steps<void> {
  if (state.externalData) {
    plan.host = guest;
    return;
  }
  const run = yield* allocateUpTo(state, plan.clusters);
  plan.host = run.start * state.clusterSize;
  plan.clusters = run.count;
}

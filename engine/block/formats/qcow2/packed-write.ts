/**
 * Writing compressed clusters: packed one behind the other, without regard to cluster borders. Each counts as a reference to every
 * cluster that it touches (specification, "Compressed Clusters Descriptor"; QEMU: qcow2_alloc_bytes).
 */
import { wait, type Steps } from '../../../maybe.ts';
import { packDeflateRaw, packZstd } from '../../compression/pack.ts';
import type { ClusterPacker } from '../../format.ts';
import { run } from '../../../maybe.ts';
import { allocate } from './allocation.ts';
import { compressedEntry } from './entry.ts';
import { releaseEntry } from './entry-update.ts';
import { ownL2Table } from './l2.ts';
import { maxRefcount } from './refcount-width.ts';
import type { Refcounts } from './refcount.ts';
import type { Qcow2State } from './state.ts';
import { setBitmap } from './subclusters.ts';
import { settle } from './write.ts';

/** Undefined for images that cannot hold compressed clusters: with an external data file, encrypted, or not writable. */
export function qcow2Packer(state: Qcow2State): ClusterPacker | undefined {
  const { refcounts } = state;
  if (state.externalData || state.header.cryptMethod !== 0 || refcounts === undefined) return undefined;
  const pack = state.header.compressionType === 1 ? packZstd : packDeflateRaw;
  return {
    unit: state.clusterSize,
    always: false,
    pack: (cluster) => pack(cluster, state.clusterSize - 1),
    put: (offset, packed) => run(putPacked(state, refcounts, offset, packed)),
  };
}

/** Makes the cluster at guest `offset` a compressed one. `packed` is smaller than a cluster. */
function* putPacked(
  state: Qcow2State,
  refcounts: Refcounts,
  offset: number,
  packed: Uint8Array,
): Steps<void> {
  if (state.broken !== undefined) throw state.broken;
  yield* state.tracker.note(offset, Math.min(state.clusterSize, state.virtualSize - offset));
  const table = yield* ownL2Table(state, Math.floor(offset / state.l2Coverage));
  const host = yield* findRoom(state, refcounts, packed.length);
  yield* wait(state.storage.write(host, packed));
  const slice = yield* wait(state.mapping.get(state.sliceOffset(table, offset)));
  const at = state.entryInSlice(offset);
  releaseEntry(state, slice, at);
  const end = host + packed.length;
  state.packedEnd = end % state.clusterSize === 0 ? 0 : end;
  const [high, low] = compressedEntry(host, packed.length, state.header.clusterBits);
  slice.view.setUint32(at, high);
  slice.view.setUint32(at + 4, low);
  if (state.extendedL2) setBitmap(slice, at, 0, 0);
  state.mapping.markDirty(slice);
  yield* settle(state);
}

/** Room for `length` bytes, counted: behind the last packed cluster, into a new one that follows it, or in a new one. */
function* findRoom(state: Qcow2State, refcounts: Refcounts, length: number): Steps<number> {
  const { clusterSize, packedEnd } = state;
  const within = packedEnd % clusterSize;
  const shared = packedEnd - within;
  const full = within === 0 || (yield* refcounts.get(shared / clusterSize)) >= maxRefcount(refcounts.order);
  if (!full && clusterSize - within >= length) {
    yield* refcounts.change(shared, clusterSize, 1);
    return packedEnd;
  }
  const fresh = yield* allocate(state, 1);
  if (full || fresh !== shared + clusterSize) return fresh;
  yield* refcounts.change(shared, clusterSize, 1);
  return packedEnd;
}

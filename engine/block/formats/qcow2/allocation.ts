/** Finding free clusters, and growing the refcount structures when the file outgrows them. */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import { MAX_REFCOUNT_TABLE_BYTES, TABLE_ENTRY } from './constants.ts';
import { flushStorages } from './order.ts';
import { writeRefcountTablePlace } from './header-update.ts';
import type { MetadataMap } from './overlap.ts';
import { readRefcount } from './refcount-width.ts';
import type { Refcounts } from './refcount.ts';
import type { Qcow2State } from './state.ts';

/** Clusters that lie together. */
export interface ClusterRun {
  /** Index of the first cluster. */
  start: number;
  count: number;
}

/** `clusters` contiguous clusters with a reference count of 1; the byte where they start. */
export function* allocate(state: Qcow2State, clusters: number): Steps<number> {
  const { refcounts } = writable(state);
  for (let blocks = 0; ;) {
    const run = yield* findFree(refcounts, clusters + blocks, false);
    const missing = missingBlocks(refcounts, run);
    const last = missing.at(-1) ?? 0;
    if (last >= refcounts.tableEntries) {
      yield* growTable(state, last + 1);
      blocks = 0;
    } else if (missing.length > blocks) {
      blocks = missing.length;
    } else {
      yield* placeBlocks(state, missing, run.start);
      return (yield* take(state, { start: run.start + missing.length, count: clusters })) * state.clusterSize;
    }
  }
}

/** At least one cluster and at most `clusters`, contiguous, with a reference count of 1. */
export function* allocateUpTo(state: Qcow2State, clusters: number): Steps<ClusterRun> {
  const { refcounts } = writable(state);
  for (;;) {
    const run = yield* findFree(refcounts, clusters, true);
    const count = coveredPart(refcounts, run);
    if (count > 0) {
      yield* take(state, { start: run.start, count });
      refcounts.freeHint = run.start + count;
      return { start: run.start, count };
    }
    const block = Math.floor(run.start / refcounts.perBlock);
    if (block >= refcounts.tableEntries) yield* growTable(state, block + 1);
    else yield* placeBlocks(state, [block], run.start);
  }
}

function* take(state: Qcow2State, run: ClusterRun): Steps<number> {
  const { refcounts, metadata } = writable(state);
  const offset = run.start * state.clusterSize;
  yield* metadata.checkNew('new cluster', offset, run.count * state.clusterSize);
  yield* refcounts.change(offset, run.count * state.clusterSize, 1);
  if (run.start === refcounts.freeHint) refcounts.freeHint = run.start + run.count;
  return run.start;
}

/** What exists only in an image that is open for writing. */
function writable(state: Qcow2State): { refcounts: Refcounts; metadata: MetadataMap } {
  const { refcounts, metadata } = state;
  if (refcounts !== undefined && metadata !== undefined) return { refcounts, metadata };
  throw new PlatterError('block.read-only', `"${state.image}" is open read-only`, { image: state.image });
}

/** How many clusters of the run have a refcount block, from its start. */
function coveredPart(refcounts: Refcounts, run: ClusterRun): number {
  let covered = 0;
  while (covered < run.count) {
    const cluster = run.start + covered;
    const block = Math.floor(cluster / refcounts.perBlock);
    if (refcounts.blockOffset(block) === 0) break;
    covered = Math.min(run.count, (block + 1) * refcounts.perBlock - run.start);
  }
  return covered;
}

/** The first free run of `wanted` clusters; of fewer with `partial`. What has no refcount block is free. */
function* findFree(refcounts: Refcounts, wanted: number, partial: boolean): Steps<ClusterRun> {
  let start = refcounts.freeHint;
  let at = start;
  while (at - start < wanted) {
    const index = Math.floor(at / refcounts.perBlock);
    const block = refcounts.blockOffset(index);
    if (block === 0) {
      at = Math.min(start + wanted, (index + 1) * refcounts.perBlock);
      continue;
    }
    const slice = yield* wait(refcounts.cache.get(refcounts.sliceOf(block, at)));
    const end = at - (at % refcounts.perSlice) + refcounts.perSlice;
    while (at < end && at - start < wanted) {
      if (readRefcount(slice.view, at % refcounts.perSlice, refcounts.order) !== 0) {
        if (partial && at > start) return { start, count: at - start };
        start = at + 1;
      }
      at++;
    }
  }
  return { start, count: at - start };
}

function missingBlocks(refcounts: Refcounts, run: ClusterRun): number[] {
  const missing: number[] = [];
  const last = Math.floor((run.start + run.count - 1) / refcounts.perBlock);
  for (let block = Math.floor(run.start / refcounts.perBlock); block <= last; block++) {
    if (refcounts.blockOffset(block) === 0) missing.push(block);
  }
  return missing;
}

/** Zeroed blocks at `start` and on, hooked into the table in memory, and counted. */
function* placeBlocks(state: Qcow2State, blocks: number[], start: number): Steps<void> {
  if (blocks.length === 0) return;
  const { clusterSize } = state;
  const { refcounts, metadata } = writable(state);
  yield* metadata.checkNew('new refcount block', start * clusterSize, blocks.length * clusterSize);
  yield* wait(state.storage.writeZeroes(start * clusterSize, blocks.length * clusterSize));
  blocks.forEach((block, index) => {
    refcounts.cache.forget((start + index) * clusterSize, clusterSize);
    refcounts.setBlock(block, (start + index) * clusterSize);
  });
  yield* refcounts.change(start * clusterSize, blocks.length * clusterSize, 1);
}

/**
 * A larger refcount table for at least `entries` blocks, placed behind everything that the old one covers, which is free for
 * certain. The header is switched over once the new table is stable; the old one is freed after that.
 */
function* growTable(state: Qcow2State, entries: number): Steps<void> {
  const { refcounts, metadata } = writable(state);
  const { clusterSize } = state;
  const perCluster = clusterSize / TABLE_ENTRY;
  let clusters = Math.ceil(Math.max(entries, refcounts.tableEntries * 1.5) / perCluster);
  const start = refcounts.tableEntries * refcounts.perBlock;
  const firstBlock = refcounts.tableEntries;
  let blocks = 1;
  for (;;) {
    const needed = Math.ceil((clusters + blocks) / refcounts.perBlock);
    const room = clusters * perCluster - firstBlock;
    if (needed > room) clusters++;
    else if (needed > blocks) blocks = needed;
    else break;
  }
  if (clusters * clusterSize > MAX_REFCOUNT_TABLE_BYTES) {
    throw new PlatterError(
      'qcow2.too-large',
      `"${state.image}" cannot grow: its refcount table would exceed 8 MiB`,
      {
        image: state.image,
        field: 'refcount_table_clusters',
        hint: 'Convert it to one with larger clusters.',
      },
    );
  }
  yield* refcounts.writeBack();
  const table = new Uint8Array(clusters * clusterSize);
  table.set(refcounts.table);
  const oldOffset = state.header.refcountTableOffset;
  const oldLength = state.header.refcountTableClusters * clusterSize;
  const tableOffset = start * clusterSize;
  yield* metadata.checkNew('new refcount table', tableOffset, (clusters + blocks) * clusterSize);
  refcounts.replaceTable(table);
  const placed = Array.from({ length: blocks }, (_, index) => firstBlock + index);
  yield* placeBlocks(state, placed, start + clusters);
  yield* refcounts.change(tableOffset, clusters * clusterSize, 1);
  yield* wait(refcounts.cache.writeBack());
  yield* wait(state.storage.write(tableOffset, table));
  refcounts.replaceTable(table);
  yield* flushStorages(state);
  yield* writeRefcountTablePlace(state, tableOffset, clusters);
  metadata.refreshRanges();
  state.pendingFrees.push([oldOffset, oldLength]);
}

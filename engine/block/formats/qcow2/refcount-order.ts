/**
 * Another width of the reference counts: all of them are written anew behind the end of the file, then the header switches from the old
 * table to the new one in one write, and the old one is given back (QEMU: qcow2_change_refcount_order).
 */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import { MAX_REFCOUNT_TABLE_BYTES, TABLE_ENTRY } from './constants.ts';
import { rewriteHeader } from './header-rewrite.ts';
import { flushStorages } from './order.ts';
import { MetadataMap } from './overlap.ts';
import { Refcounts } from './refcount.ts';
import { maxRefcount, writeRefcount } from './refcount-width.ts';
import type { Qcow2State } from './state.ts';

/** `order`: log2 of the width in bits, 0 to 6. Throws `amend.refcount-too-large`, `qcow2.too-large`. */
export function* changeRefcountOrder(state: Qcow2State, order: number): Steps<void> {
  yield* wait(state.writeBack());
  const old = state.refcounts;
  if (old === undefined || old.order === order) return;
  const { clusterSize, header } = state;
  const perBlock = (clusterSize * 8) / 2 ** order;
  const size = yield* wait(state.storage.size());
  // Behind everything that the old table knows, and behind the end of the file.
  const start = Math.ceil(size / clusterSize);
  let blocks = 1;
  let tables = 1;
  for (;;) {
    const needed = Math.ceil((start + blocks + tables) / perBlock);
    const tableNeeded = Math.ceil((needed * TABLE_ENTRY) / clusterSize);
    if (needed <= blocks && tableNeeded <= tables) break;
    blocks = Math.max(blocks, needed);
    tables = Math.max(tables, tableNeeded);
  }
  if (tables * clusterSize > MAX_REFCOUNT_TABLE_BYTES) throw tooLarge(state);
  const tableAt = start * clusterSize;
  const blocksAt = tableAt + tables * clusterSize;
  const end = start + tables + blocks;
  const table = new Uint8Array(tables * clusterSize);
  const view = new DataView(table.buffer);
  for (let block = 0; block < blocks; block++) {
    const counts = new Uint8Array(clusterSize);
    const countsView = new DataView(counts.buffer);
    for (let index = 0; index < perBlock && block * perBlock + index < end; index++) {
      const cluster = block * perBlock + index;
      const count = cluster >= start ? 1 : yield* old.get(cluster);
      if (count > maxRefcount(order)) throw tooMany(state, cluster, count, order);
      if (count > 0) writeRefcount(countsView, index, order, count);
    }
    yield* wait(state.storage.write(blocksAt + block * clusterSize, counts));
    view.setBigUint64(block * TABLE_ENTRY, BigInt(blocksAt + block * clusterSize));
  }
  yield* wait(state.storage.write(tableAt, table));
  const freed = oldPlaces(state, old);
  const before = { ...header };
  header.refcountTableOffset = tableAt;
  header.refcountTableClusters = tables;
  header.refcountOrder = order;
  try {
    yield* flushStorages(state);
    yield* rewriteHeader(state, {});
  } catch (error) {
    Object.assign(header, before);
    throw error;
  }
  state.refcounts = new Refcounts(state, table);
  state.metadata = new MetadataMap(state, table);
  state.knownSize = end * clusterSize;
  state.pendingFrees.push(...freed);
  yield* wait(state.writeBack());
}

/** The old table and its blocks. */
function oldPlaces(state: Qcow2State, old: Refcounts): [number, number][] {
  const { clusterSize, header } = state;
  const places: [number, number][] = [
    [header.refcountTableOffset, header.refcountTableClusters * clusterSize],
  ];
  for (let block = 0; block < old.tableEntries; block++) {
    const offset = old.blockOffset(block);
    if (offset !== 0) places.push([offset, clusterSize]);
  }
  return places;
}

function tooMany(state: Qcow2State, cluster: number, count: number, order: number): PlatterError {
  return new PlatterError(
    'amend.refcount-too-large',
    `Cluster ${cluster} of "${state.image}" has ${count} references; ${2 ** order} bits cannot count them`,
    {
      image: state.image,
      option: 'refcount_bits',
      offset: cluster * state.clusterSize,
      value: String(count),
      expected: `at most ${maxRefcount(order)}`,
      hint: 'Delete snapshots, or choose wider counts.',
    },
  );
}

function tooLarge(state: Qcow2State): PlatterError {
  return new PlatterError(
    'qcow2.too-large',
    `"${state.image}" cannot have such wide counts: its refcount table would exceed 8 MiB`,
    { image: state.image, field: 'refcount_table_clusters', hint: 'Convert it to one with larger clusters.' },
  );
}

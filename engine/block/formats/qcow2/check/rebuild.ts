/**
 * New reference counts for an image whose refcount table or blocks are damaged (QEMU: rebuild_refcount_structure). What the tables
 * use is counted anew; the new blocks and the new table are written behind the end of the file, where nothing can be overwritten,
 * and one write of the header switches to them. The old ones are free after that.
 */
import { PlatterError } from '../../../../errors.ts';
import { wait, type Steps } from '../../../../maybe.ts';
import { MAX_REFCOUNT_TABLE_BYTES, TABLE_ENTRY } from '../constants.ts';
import { writeRefcountTablePlace } from '../header-update.ts';
import { MetadataMap } from '../overlap.ts';
import { Refcounts } from '../refcount.ts';
import { maxRefcount, writeRefcount } from '../refcount-width.ts';
import type { Qcow2State } from '../state.ts';
import type { ReferenceCounts } from './references.ts';

/** Where everything goes, in clusters. */
interface Layout {
  /** Indices of the blocks that are needed, in order. */
  blocks: number[];
  firstBlock: number;
  table: number;
  tableClusters: number;
}

/** `references`: of everything but the refcount table and its blocks. Throws `repair.refcount-table`. */
export function* rebuildRefcounts(state: Qcow2State, references: ReferenceCounts): Steps<void> {
  const { clusterSize, storage } = state;
  const order = state.header.refcountOrder;
  const perBlock = (clusterSize * 8) / 2 ** order;
  const end = Math.ceil((yield* wait(storage.size())) / clusterSize);
  const layout = layOut(usedBlocks(references, perBlock), end, perBlock, clusterSize);
  if (layout.tableClusters * clusterSize > MAX_REFCOUNT_TABLE_BYTES) throw tooLarge(state);
  for (let cluster = layout.firstBlock; cluster < layout.table + layout.tableClusters; cluster++) {
    references.add(cluster);
  }
  const table = new Uint8Array(layout.tableClusters * clusterSize);
  const tableView = new DataView(table.buffer);
  for (const [index, block] of layout.blocks.entries()) {
    const bytes = new Uint8Array(clusterSize);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < perBlock; at++) {
      const count = references.get(block * perBlock + at);
      if (count > maxRefcount(order)) throw tooMany(state, block * perBlock + at, order);
      if (count > 0) writeRefcount(view, at, order, count);
    }
    const place = (layout.firstBlock + index) * clusterSize;
    yield* wait(storage.write(place, bytes));
    tableView.setBigUint64(block * TABLE_ENTRY, BigInt(place));
  }
  yield* wait(storage.write(layout.table * clusterSize, table));
  yield* wait(storage.flush());
  yield* writeRefcountTablePlace(state, layout.table * clusterSize, layout.tableClusters);
  state.refcounts = new Refcounts(state, table);
  state.metadata = new MetadataMap(state, table);
  state.knownSize = yield* wait(storage.size());
}

/** The blocks that count at least one cluster. */
function usedBlocks(references: ReferenceCounts, perBlock: number): Set<number> {
  const used = new Set<number>();
  for (const [start, count] of references.pages()) {
    for (let cluster = start; cluster < start + count; cluster++) {
      if (references.get(cluster) > 0) used.add(Math.floor(cluster / perBlock));
    }
  }
  return used;
}

/** The new structures count themselves too, until that needs no further block. */
function layOut(used: ReadonlySet<number>, end: number, perBlock: number, clusterSize: number): Layout {
  const needed = new Set(used);
  for (;;) {
    const before = needed.size;
    const highest = Math.max(...needed);
    const tableClusters = Math.ceil(((highest + 1) * TABLE_ENTRY) / clusterSize);
    const last = end + needed.size + tableClusters - 1;
    for (let block = Math.floor(end / perBlock); block <= Math.floor(last / perBlock); block++)
      needed.add(block);
    if (needed.size === before) {
      const blocks = [...needed].sort((a, b) => a - b);
      return { blocks, firstBlock: end, table: end + blocks.length, tableClusters };
    }
  }
}

function tooLarge(state: Qcow2State): PlatterError {
  return new PlatterError(
    'repair.refcount-table',
    `A new refcount table of "${state.image}" would exceed 8 MiB: the counts cannot be rebuilt`,
    {
      image: state.image,
      field: 'refcount table',
      hint: 'Convert the image to a new one with larger clusters.',
    },
  );
}

function tooMany(state: Qcow2State, cluster: number, order: number): PlatterError {
  return new PlatterError(
    'repair.refcount-table',
    `The cluster at byte ${cluster * state.clusterSize} of "${state.image}" has more references than ${2 ** order} bits can count`,
    {
      image: state.image,
      field: 'refcount_order',
      offset: cluster * state.clusterSize,
      hint: 'Convert the image to a new one.',
    },
  );
}

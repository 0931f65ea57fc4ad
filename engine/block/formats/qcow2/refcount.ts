/** Reference counts: a table of blocks of counts, one for every cluster of the file. A count of 0 means free. */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import { TableCache, type Slice } from './cache.ts';
import { OFFSET_HIGH, OFFSET_LOW, TABLE_ENTRY } from './constants.ts';
import { corruptEntry } from './errors.ts';
import { maxRefcount, readRefcount, writeRefcount } from './refcount-width.ts';
import type { Qcow2State } from './state.ts';

const SLICE = 4096;

export class Refcounts {
  readonly state: Qcow2State;
  readonly order: number;
  /** Counts in one block, and in one slice of it. */
  readonly perBlock: number;
  readonly perSlice: number;
  readonly cache: TableCache;
  /** No cluster below this index is free. */
  freeHint = 0;
  #table: Uint8Array;
  #view: DataView;
  readonly #dirtyEntries = new Set<number>();

  constructor(state: Qcow2State, table: Uint8Array) {
    this.state = state;
    this.order = state.header.refcountOrder;
    const sliceBytes = Math.min(SLICE, state.clusterSize);
    this.perBlock = (state.clusterSize * 8) / 2 ** this.order;
    this.perSlice = (sliceBytes * 8) / 2 ** this.order;
    this.cache = new TableCache({
      storage: state.storage,
      what: 'refcount block',
      sliceBytes,
      limitBytes: state.limits.refcountCacheBytes,
      beforeWrite: (offset, length) => state.metadata?.checkTableWrite('refcount block', offset, length),
      makeRoom: () => this.cache.writeBack(),
    });
    this.#table = table;
    this.#view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  }

  get tableEntries(): number {
    return this.#table.length / TABLE_ENTRY;
  }

  get table(): Uint8Array {
    return this.#table;
  }

  /** Byte of the block in the file; 0 when there is none, or past the table. */
  blockOffset(block: number): number {
    if (block >= this.tableEntries) return 0;
    const high = this.#view.getUint32(block * TABLE_ENTRY) & OFFSET_HIGH;
    const low = (this.#view.getUint32(block * TABLE_ENTRY + 4) & OFFSET_LOW) >>> 0;
    const offset = high * 2 ** 32 + low;
    if (offset % this.state.clusterSize !== 0) {
      const at = this.state.header.refcountTableOffset + block * TABLE_ENTRY;
      throw corruptEntry(
        this.state.image,
        'refcount table',
        at,
        `points to ${offset}, not a cluster's start`,
      );
    }
    return offset;
  }

  /** Hooks a new block into the table in memory; `writeBack` writes the entry after the block. */
  setBlock(block: number, offset: number): void {
    this.#view.setUint32(block * TABLE_ENTRY, Math.floor(offset / 2 ** 32));
    this.#view.setUint32(block * TABLE_ENTRY + 4, offset % 2 ** 32);
    this.#dirtyEntries.add(block);
    this.state.metadata?.refcountBlocks.add(offset);
  }

  /** Takes a block out of the table in memory; `writeBack` writes the entry. */
  dropBlock(block: number): void {
    const offset = this.blockOffset(block);
    this.cache.forget(offset, this.state.clusterSize);
    this.freeHint = Math.min(this.freeHint, offset / this.state.clusterSize);
    this.#view.setBigUint64(block * TABLE_ENTRY, 0n);
    this.#dirtyEntries.add(block);
    this.state.metadata?.refcountBlocks.remove(offset);
  }

  /** Another table, already in the file with all its entries. */
  replaceTable(table: Uint8Array): void {
    this.#table = table;
    this.#view = new DataView(table.buffer, table.byteOffset, table.byteLength);
    this.#dirtyEntries.clear();
  }

  /** The count of one cluster, by index. */
  *get(cluster: number): Steps<number> {
    const block = this.blockOffset(Math.floor(cluster / this.perBlock));
    if (block === 0) return 0;
    const slice = yield* wait(this.cache.get(this.sliceOf(block, cluster)));
    return readRefcount(slice.view, cluster % this.perSlice, this.order);
  }

  /** The count of one cluster, out of the slice that holds it. */
  countIn(slice: Slice, cluster: number): number {
    return readRefcount(slice.view, cluster % this.perSlice, this.order);
  }

  /** Byte in the file of the slice with the count of `cluster`, given its block's. */
  sliceOf(block: number, cluster: number): number {
    return block + Math.floor((cluster % this.perBlock) / this.perSlice) * this.cache.sliceBytes;
  }

  /** Adds `delta` to every cluster that the bytes touch. Their blocks exist. */
  *change(offset: number, length: number, delta: number): Steps<void> {
    const { clusterSize } = this.state;
    const end = Math.floor((offset + length - 1) / clusterSize);
    for (let cluster = Math.floor(offset / clusterSize); cluster <= end; cluster++) {
      const block = this.blockOffset(Math.floor(cluster / this.perBlock));
      if (block === 0) throw this.#underflow(cluster);
      const slice = yield* wait(this.cache.get(this.sliceOf(block, cluster)));
      const index = cluster % this.perSlice;
      const value = readRefcount(slice.view, index, this.order) + delta;
      if (value < 0) throw this.#underflow(cluster);
      if (value > maxRefcount(this.order)) throw this.#overflow(cluster);
      writeRefcount(slice.view, index, this.order, value);
      this.cache.markDirty(slice);
      if (value === 0) {
        this.freeHint = Math.min(this.freeHint, cluster);
        this.forgetCluster(cluster * clusterSize);
      }
    }
  }

  /** Throws `qcow2.refcount-overflow` when a cluster of the range can take no further reference. */
  *checkRoom(offset: number, length: number): Steps<void> {
    const { clusterSize } = this.state;
    const end = Math.floor((offset + length - 1) / clusterSize);
    for (let cluster = Math.floor(offset / clusterSize); cluster <= end; cluster++) {
      if ((yield* this.get(cluster)) >= maxRefcount(this.order)) throw this.#overflow(cluster);
    }
  }

  /** A freed cluster is no table any more. */
  forgetCluster(offset: number): void {
    this.state.mapping.forget(offset, this.state.clusterSize);
    this.state.metadata?.l2Tables.remove(offset);
  }

  /** Changed blocks into the file, then the table entries that point to new ones. */
  *writeBack(): Steps<void> {
    yield* wait(this.cache.writeBack());
    if (this.#dirtyEntries.size === 0) return;
    yield* wait(this.state.storage.flush());
    for (const block of this.#dirtyEntries) {
      const at = this.state.header.refcountTableOffset + block * TABLE_ENTRY;
      this.state.metadata?.checkTableWrite('refcount table', at, TABLE_ENTRY);
      const entry = this.#table.subarray(block * TABLE_ENTRY, (block + 1) * TABLE_ENTRY);
      yield* wait(this.state.storage.write(at, entry));
    }
    this.#dirtyEntries.clear();
  }

  #underflow(cluster: number): PlatterError {
    const offset = cluster * this.state.clusterSize;
    return new PlatterError(
      'qcow2.refcount-underflow',
      `"${this.state.image}" is damaged: the cluster at byte ${offset} is in use, but its reference count is 0`,
      {
        image: this.state.image,
        field: 'refcount',
        offset,
        hint: 'Check the image and repair a copy of it.',
      },
    );
  }

  #overflow(cluster: number): PlatterError {
    const offset = cluster * this.state.clusterSize;
    return new PlatterError(
      'qcow2.refcount-overflow',
      `The cluster at byte ${offset} of "${this.state.image}" has as many references as ${2 ** this.order} bits can count`,
      {
        image: this.state.image,
        field: 'refcount_order',
        offset,
        value: String(maxRefcount(this.order)),
        hint: 'Convert the image to one with wider reference counts.',
      },
    );
  }
}

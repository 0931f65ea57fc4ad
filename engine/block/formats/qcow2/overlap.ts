/**
 * Where the image's own tables lie. Nothing is written there but by their owner: an image whose tables overlap is damaged, and
 * writing on would spread the damage (QEMU's overlap-check=cached; CVE-2014-0147).
 */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import { OFFSET_HIGH, OFFSET_LOW, TABLE_ENTRY } from './constants.ts';
import { markCorrupt } from './header-update.ts';
import type { Qcow2State } from './state.ts';

export type MetadataKind =
  | 'header'
  | 'active L1 table'
  | 'active L2 table'
  | 'refcount table'
  | 'refcount block'
  | 'snapshot table'
  | 'inactive L1 table'
  | 'bitmap directory';

interface Range {
  kind: MetadataKind;
  offset: number;
  length: number;
}

/** Cluster starts: a sorted array of those found at open (compact, up to millions), and what changed since. */
class ClusterSet {
  readonly #sorted: Float64Array;
  readonly #added = new Set<number>();
  readonly #removed = new Set<number>();
  readonly #clusterSize: number;

  constructor(starts: Float64Array, clusterSize: number) {
    this.#sorted = starts.sort();
    this.#clusterSize = clusterSize;
  }

  add(start: number): void {
    this.#removed.delete(start);
    this.#added.add(start);
  }

  remove(start: number): void {
    this.#added.delete(start);
    this.#removed.add(start);
  }

  /** Whether a cluster of the set touches the range. */
  touches(offset: number, length: number): boolean {
    const first = offset - (offset % this.#clusterSize);
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sorted[middle] < first) low = middle + 1;
      else high = middle;
    }
    for (; low < this.#sorted.length && this.#sorted[low] < offset + length; low++) {
      if (!this.#removed.has(this.#sorted[low])) return true;
    }
    if (this.#added.size === 0) return false;
    for (let at = first; at < offset + length; at += this.#clusterSize) if (this.#added.has(at)) return true;
    return false;
  }
}

export class MetadataMap {
  readonly #state: Qcow2State;
  #ranges: Range[] = [];
  l2Tables: ClusterSet;
  readonly refcountBlocks: ClusterSet;

  /** `refcountTable` as in the file. */
  constructor(state: Qcow2State, refcountTable: Uint8Array) {
    this.#state = state;
    this.l2Tables = new ClusterSet(tableOffsets(state.l1), state.clusterSize);
    this.refcountBlocks = new ClusterSet(tableOffsets(refcountTable), state.clusterSize);
    this.refreshRanges();
  }

  /** The active L1 table is another one. */
  useL1(): void {
    this.l2Tables = new ClusterSet(tableOffsets(this.#state.l1), this.#state.clusterSize);
    this.refreshRanges();
  }

  /** The tables whose place stands in the header, again after one of them moved. */
  refreshRanges(): void {
    const { header, clusterSize, snapshots, extensions } = this.#state;
    const ranges: Range[] = [{ kind: 'header', offset: 0, length: clusterSize }];
    const add = (kind: MetadataKind, offset: number, length: number): void => {
      if (length > 0) ranges.push({ kind, offset, length: Math.ceil(length / clusterSize) * clusterSize });
    };
    add('active L1 table', header.l1TableOffset, header.l1Size * TABLE_ENTRY);
    add('refcount table', header.refcountTableOffset, header.refcountTableClusters * clusterSize);
    const last = snapshots.at(-1);
    if (last !== undefined) {
      add('snapshot table', header.snapshotsOffset, last.offset + last.length - header.snapshotsOffset);
    }
    for (const snapshot of snapshots)
      add('inactive L1 table', snapshot.l1TableOffset, snapshot.l1Size * TABLE_ENTRY);
    if (extensions.bitmaps !== undefined) {
      add('bitmap directory', extensions.bitmaps.directoryOffset, extensions.bitmaps.directorySize);
    }
    this.#ranges = ranges;
  }

  /** What lies in the range, or undefined. */
  find(offset: number, length: number, except?: MetadataKind): MetadataKind | undefined {
    for (const range of this.#ranges) {
      if (range.kind !== except && offset < range.offset + range.length && offset + length > range.offset) {
        return range.kind;
      }
    }
    if (except !== 'active L2 table' && this.l2Tables.touches(offset, length)) return 'active L2 table';
    if (except !== 'refcount block' && this.refcountBlocks.touches(offset, length)) return 'refcount block';
    return undefined;
  }

  /** Before a table is written: throws `qcow2.overlap` when another kind of table lies there. */
  checkTableWrite(kind: MetadataKind, offset: number, length: number): void {
    const other = this.find(offset, length, kind);
    if (other === undefined) return;
    this.#state.broken ??= overlapError(this.#state, kind, offset, other);
    throw this.#state.broken;
  }

  /** Before data or a new table is written: marks the image corrupt and throws when any table lies there. */
  *checkNew(what: string, offset: number, length: number): Steps<void> {
    const other = this.find(offset, length);
    if (other === undefined) return;
    const error = overlapError(this.#state, what, offset, other);
    yield* wait(markCorrupt(this.#state, error));
    throw error;
  }
}

function overlapError(state: Qcow2State, what: string, offset: number, other: MetadataKind): PlatterError {
  return new PlatterError(
    'qcow2.overlap',
    `"${state.image}" is damaged: writing the ${what} at byte ${offset} would overwrite its ${other}`,
    {
      image: state.image,
      field: other,
      offset,
      hint: 'Nothing more is written. Check the image and repair a copy of it.',
    },
  );
}

/** The clusters that a table of 64-bit entries points to. */
function tableOffsets(table: Uint8Array): Float64Array {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const entries = Math.floor(table.length / TABLE_ENTRY);
  let count = 0;
  for (let index = 0; index < entries; index++) if (entryOffset(view, index) !== 0) count++;
  const offsets = new Float64Array(count);
  for (let index = 0, next = 0; index < entries; index++) {
    const offset = entryOffset(view, index);
    if (offset !== 0) offsets[next++] = offset;
  }
  return offsets;
}

function entryOffset(view: DataView, index: number): number {
  const at = index * TABLE_ENTRY;
  return (view.getUint32(at) & OFFSET_HIGH) * 2 ** 32 + ((view.getUint32(at + 4) & OFFSET_LOW) >>> 0);
}

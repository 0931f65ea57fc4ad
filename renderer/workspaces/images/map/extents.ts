/**
 * The block map in typed arrays: one row per stretch of the guest's disk, in order, without gaps. A hundred thousand rows
 * are 3 MB, and every question is answered by binary search or one walk.
 */
import type { MapExtent } from '#contract/images.ts';
import { BLOCK_KINDS, kindOf, type BlockKind } from '../../../design/kinds.ts';

/** What a share is of: a kind, and for blocks of backing images how deep they lie (1, 2, 3 and more). */
export interface Slot {
  kind: BlockKind;
  level: number;
}
export const SLOTS: readonly Slot[] = [
  ...BLOCK_KINDS.map((kind) => ({ kind, level: 1 })),
  { kind: 'backing', level: 2 },
  { kind: 'backing', level: 3 },
];
const BACKING = BLOCK_KINDS.indexOf('backing');
const NO_OFFSET = -1;

export class ExtentTable {
  count = 0;
  #start = new Float64Array(1024);
  #length = new Float64Array(1024);
  #offset = new Float64Array(1024);
  #kind = new Uint8Array(1024);
  #depth = new Uint16Array(1024);
  #compressed = new Uint8Array(1024);

  /** The first byte of the disk that is not in the table yet. */
  get end(): number {
    return this.count === 0 ? 0 : this.#start[this.count - 1] + this.#length[this.count - 1];
  }

  /** Adds a page; neighbours that continue each other, also in the file, become one row. */
  push(page: readonly MapExtent[]): void {
    for (const extent of page) {
      if (extent.length <= 0 || this.#continues(extent)) continue;
      if (this.count === this.#start.length) this.#grow();
      const at = this.count;
      this.#start[at] = extent.start;
      this.#length[at] = extent.length;
      this.#offset[at] = extent.offset ?? NO_OFFSET;
      this.#kind[at] = BLOCK_KINDS.indexOf(kindOf(extent));
      this.#depth[at] = extent.depth;
      this.#compressed[at] = extent.compressed ? 1 : 0;
      this.count += 1;
    }
  }

  #continues(extent: MapExtent): boolean {
    const last = this.count - 1;
    if (last < 0 || this.end !== extent.start) return false;
    const same =
      BLOCK_KINDS[this.#kind[last]] === kindOf(extent) &&
      this.#depth[last] === extent.depth &&
      (this.#compressed[last] === 1) === extent.compressed;
    const offset = this.#offset[last];
    const follows =
      extent.offset === undefined ? offset === NO_OFFSET : offset + this.#length[last] === extent.offset;
    if (!same || !follows || (offset === NO_OFFSET) !== (extent.offset === undefined)) return false;
    this.#length[last] += extent.length;
    return true;
  }

  #grow(): void {
    const bigger = <T extends Float64Array | Uint8Array | Uint16Array>(old: T, next: T): T => {
      next.set(old);
      return next;
    };
    const size = this.#start.length * 2;
    this.#start = bigger(this.#start, new Float64Array(size));
    this.#length = bigger(this.#length, new Float64Array(size));
    this.#offset = bigger(this.#offset, new Float64Array(size));
    this.#kind = bigger(this.#kind, new Uint8Array(size));
    this.#depth = bigger(this.#depth, new Uint16Array(size));
    this.#compressed = bigger(this.#compressed, new Uint8Array(size));
  }

  /** The row that holds the guest offset, or -1. */
  find(guestOffset: number): number {
    let low = 0;
    let high = this.count - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      if (this.#start[middle] > guestOffset) high = middle - 1;
      else if (this.#start[middle] + this.#length[middle] <= guestOffset) low = middle + 1;
      else return middle;
    }
    return -1;
  }

  start(row: number): number {
    return this.#start[row];
  }
  length(row: number): number {
    return this.#length[row];
  }
  kind(row: number): BlockKind {
    return BLOCK_KINDS[this.#kind[row]];
  }
  depth(row: number): number {
    return this.#depth[row];
  }
  compressed(row: number): boolean {
    return this.#compressed[row] === 1;
  }
  /** Byte offset in the file of that depth where the stretch begins, or null when it is not stored plainly. */
  offset(row: number): number | null {
    return this.#offset[row] === NO_OFFSET ? null : this.#offset[row];
  }

  /** Where the byte at `guestOffset` lies in its file, or null. */
  hostOffset(guestOffset: number): number | null {
    const row = this.find(guestOffset);
    const offset = row < 0 ? null : this.offset(row);
    return offset === null ? null : offset + guestOffset - this.#start[row];
  }

  /**
   * Shares of each slot in `count` cells of `cellBytes` bytes from `start`: `count * SLOTS.length` numbers of bytes, cell by cell.
   * One walk over the rows in range.
   */
  aggregate(start: number, cellBytes: number, count: number): Float64Array {
    const shares = new Float64Array(count * SLOTS.length);
    const stop = start + cellBytes * count;
    let row = Math.max(0, this.find(start));
    while (row < this.count && this.#start[row] < stop) {
      const from = Math.max(start, this.#start[row]);
      const to = Math.min(stop, this.#start[row] + this.#length[row]);
      const slot = this.#slot(row);
      const first = Math.floor((from - start) / cellBytes);
      const last = Math.min(count - 1, Math.ceil((to - start) / cellBytes) - 1);
      for (let cell = first; cell <= last; cell += 1) {
        const cellStart = start + cell * cellBytes;
        const share = Math.min(to, cellStart + cellBytes) - Math.max(from, cellStart);
        if (share > 0) shares[cell * SLOTS.length + slot] += share;
      }
      row += 1;
    }
    return shares;
  }

  #slot(row: number): number {
    const kind = this.#kind[row];
    return kind !== BACKING || this.#depth[row] < 2
      ? kind
      : BLOCK_KINDS.length + Math.min(3, this.#depth[row]) - 2;
  }

  /** Bytes of each kind in the whole table. */
  totals(): Record<BlockKind, number> {
    const sums = new Float64Array(BLOCK_KINDS.length);
    for (let row = 0; row < this.count; row += 1) sums[this.#kind[row]] += this.#length[row];
    return Object.fromEntries(BLOCK_KINDS.map((kind, index) => [kind, sums[index]])) as Record<
      BlockKind,
      number
    >;
  }
}

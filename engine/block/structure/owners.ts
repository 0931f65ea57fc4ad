/** Who owns each byte of the file: metadata by its node in the tree, data by its place on the guest's disk. */
import type { OwnedExtent, OwnersPage } from '../../../contract/structure.ts';
import { OWNER_KINDS } from '../../../contract/structure.ts';
import type { FormatNode } from '../access.ts';
import { JobPace, type JobOptions } from '../jobs/job.ts';
import { collectData } from './owners-data.ts';
import { collectMetadata } from './owners-metadata.ts';
import { OwnerRows } from './owners-rows.ts';
import { fillGaps, NO_SEGMENTS } from './owners-segments.ts';

/** Stretches that are kept: about 60 MiB. */
const MOST_ROWS = 1 << 20;

export interface OwnersOptions extends JobOptions {
  /** The most stretches to keep; what comes after is left out and `cut` set. */
  most?: number;
}

/** Looks through all tables of this layer once. Reads metadata only. */
export async function findOwners(image: FormatNode, options: OwnersOptions = {}): Promise<Owners> {
  const pace = new JobPace(options);
  const rows = new OwnerRows(options.most ?? MOST_ROWS);
  const fileSize = await image.format.storage.size();
  await collectMetadata(image, rows, pace);
  await collectData(image, rows, pace);
  return new Owners(rows, fileSize);
}

export class Owners {
  readonly cut: boolean;
  readonly fileSize: number;
  readonly #rows: OwnerRows;
  /** In order and without overlap: where two claim the same bytes, metadata comes first, then the live disk. */
  readonly #order: readonly number[];
  readonly #start: readonly number[];
  readonly #end: readonly number[];

  constructor(rows: OwnerRows, fileSize: number) {
    this.#rows = rows;
    this.fileSize = fileSize;
    this.cut = rows.cut;
    let segments = NO_SEGMENTS;
    for (const level of rows.levels()) segments = fillGaps(segments, rows, level, fileSize);
    this.#order = segments.row;
    this.#start = segments.start;
    this.#end = segments.end;
  }

  /** Who owns the byte at `offset`. Past the end of the file: undefined. */
  at(offset: number): OwnedExtent | undefined {
    return this.page(offset, 1).extents[0];
  }

  /** Stretches from the one that holds `from` on, gaps between them included as `free`. */
  page(from: number, limit: number): OwnersPage {
    const extents: OwnedExtent[] = [];
    let index = this.#find(from);
    let at = from;
    while (at < this.fileSize && extents.length < limit) {
      if (index < this.#order.length && this.#start[index] <= at) {
        const extent = this.#extent(index);
        extents.push(extent);
        at = extent.offset + extent.length;
        index++;
        continue;
      }
      const start = index > 0 ? this.#end[index - 1] : 0;
      const end = index < this.#order.length ? this.#start[index] : this.fileSize;
      extents.push({ offset: start, length: end - start, kind: 'free' });
      at = end;
    }
    return { extents, next: at < this.fileSize ? at : null, cut: this.cut };
  }

  /**
   * How much of each kind lies in each of `cells` equal parts of `length` bytes from `from`: `cells * OWNER_KINDS.length` bytes, part by
   * part.
   */
  shares(from: number, length: number, cells: number): Float64Array {
    const kinds = OWNER_KINDS.length;
    const shares = new Float64Array(cells * kinds);
    const size = length / cells;
    const stop = Math.min(from + length, this.fileSize);
    let at = from;
    for (let index = this.#find(from); at < stop; index++) {
      const there = index < this.#order.length;
      const start = there ? Math.max(at, this.#start[index]) : stop;
      add(shares, kinds, FREE, at - from, Math.min(start, stop) - from, size, cells);
      if (!there || start >= stop) break;
      at = this.#end[index];
      const kind = this.#rows.kind[this.#order[index]];
      add(shares, kinds, kind, start - from, Math.min(at, stop) - from, size, cells);
    }
    return shares;
  }

  /** The first stretch that ends after `offset`. */
  #find(offset: number): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#end[middle] <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #extent(index: number): OwnedExtent {
    const row = this.#order[index];
    const offset = this.#start[index];
    const extent: OwnedExtent = {
      offset,
      length: this.#end[index] - offset,
      kind: OWNER_KINDS[this.#rows.kind[row]],
    };
    const node = this.#rows.node(row);
    if (node !== undefined) Object.assign(extent, node);
    const guest = this.#rows.guest[row];
    if (guest >= 0) {
      const shifted = extent.kind === 'compressed' ? 0 : offset - this.#rows.offset[row];
      extent.guest = guest + shifted;
    }
    return extent;
  }
}

const FREE = OWNER_KINDS.indexOf('free');

/** Spreads the bytes `from` to `to` over cells of `size` bytes. */
function add(
  shares: Float64Array,
  kinds: number,
  kind: number,
  from: number,
  to: number,
  size: number,
  cells: number,
): void {
  if (to <= from) return;
  const last = Math.min(cells - 1, Math.ceil(to / size) - 1);
  for (let cell = Math.floor(from / size); cell <= last; cell++) {
    const share = Math.min(to, (cell + 1) * size) - Math.max(from, cell * size);
    if (share > 0) shares[cell * kinds + kind] += share;
  }
}

/** What a comparison knows of the next stretch of one disk without reading it. */
import { andThen, isPromise, run, type Maybe } from '../../maybe.ts';
import { extentAt } from '../map.ts';
import type { BlockNode } from '../node.ts';
import { FileStorage } from '../storage/file.ts';
import { nodeAtDepth } from './copy-plan.ts';

export interface CompareStretch {
  /** Bytes from the offset that was asked for. */
  length: number;
  zero: boolean;
  /** Has to be unpacked. */
  packed: boolean;
  /** Equal for two disks that are allocated alike. */
  status: string;
}

interface Found extends CompareStretch {
  start: number;
  depth: number;
  /** Byte of the file that the stretch starts at, where it is stored as the guest sees it. */
  place: number | undefined;
}

const NOTHING = { zero: true, packed: false, depth: 0, place: undefined };

/** Walks through a disk; each stretch is looked up once. */
export class StretchCursor {
  readonly node: BlockNode;
  readonly #total: number;
  #found: Found = { start: 0, length: 0, ...NOTHING, status: 'none' };
  #at = 0;

  /** `total`: behind the end of the disk there are zeroes up to here. */
  constructor(node: BlockNode, total: number) {
    this.node = node;
    this.#total = total;
  }

  /** The stretch at `offset`, which never goes back. */
  at(offset: number): Maybe<CompareStretch> {
    this.#at = offset;
    if (offset < this.#found.start + this.#found.length) return this.#rest();
    return andThen(this.#find(offset), (found) => {
      this.#found = found;
      return this.#rest();
    });
  }

  /** Whether both disks show the same bytes of the same file where `at` was asked last. */
  shows(other: StretchCursor): boolean {
    const [mine, theirs] = [this.#place(), other.#place()];
    if (mine === undefined || mine !== theirs) return false;
    const file = this.#file();
    return file !== undefined && file === other.#file();
  }

  #rest(): CompareStretch {
    const { start, length, zero, packed, status } = this.#found;
    return { length: start + length - this.#at, zero, packed, status };
  }

  #find(offset: number): Maybe<Found> {
    const { node } = this;
    if (offset >= node.virtualSize) {
      const length = this.#total - offset;
      return { start: offset, length, ...NOTHING, status: 'end' };
    }
    return andThen(run(extentAt(node, offset, node.virtualSize - offset)), (extent) => {
      const { zero } = extent;
      return {
        start: offset,
        length: extent.length,
        zero,
        packed: extent.compressed,
        status: [extent.present, extent.data, extent.zero, extent.offset !== undefined].join(),
        depth: extent.depth,
        place: zero ? undefined : extent.offset,
      };
    });
  }

  #place(): number | undefined {
    const { place, start } = this.#found;
    return place === undefined ? undefined : place + this.#at - start;
  }

  /** Which file holds the stretch. */
  #file(): string | undefined {
    const mapped = nodeAtDepth(this.node, this.#found.depth)?.map(this.#at, 1);
    if (mapped === undefined || isPromise(mapped)) return undefined;
    return mapped.storage instanceof FileStorage ? mapped.storage.identity : undefined;
  }
}

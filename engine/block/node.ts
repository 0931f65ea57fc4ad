/**
 * `BlockNode`: a node of the block graph as its users see it: a disk of `virtualSize` bytes. Format drivers and filters are
 * nodes; a device, a job or the screen sits on top of one.
 *
 * A format says *where*, the access layer does the I/O: a driver implements `map`, and reading, copying, converting and the
 * block map on the screen all use that one answer.
 */
import type { Maybe } from '../maybe.ts';
import type { Storage } from './storage/storage.ts';

/**
 * Where a stretch of the guest's disk lies.
 * - `data`: stored at `hostOffset` of `storage`, byte for byte.
 * - `zero`: reads as zeroes (`hostOffset` set when clusters are preallocated behind it).
 * - `unallocated`: this layer has nothing; the backing node answers, or zeroes where there is none.
 * - `special`: only the driver can read it; `compressed` or `encrypted` says why, `hostOffset` where it starts.
 */
export interface BlockExtent {
  /** Guest offset, bytes. */
  offset: number;
  /** Bytes, greater than 0. */
  length: number;
  kind: 'data' | 'zero' | 'unallocated' | 'special';
  storage?: Storage;
  /** Byte offset in `storage`. */
  hostOffset?: number;
  compressed?: boolean;
  encrypted?: boolean;
}

export interface BlockNode {
  /** QEMU's driver name: `raw`, `qcow2`, `throttle`, … */
  readonly driver: string;
  /** What errors and the screen call it. */
  readonly name: string;
  /** The disk's size as the guest sees it, bytes; any byte count for raw, a multiple of 512 otherwise. */
  readonly virtualSize: number;
  readonly readOnly: boolean;
  /** Bytes that one allocation takes (the cluster size), or undefined for formats without clusters. */
  readonly clusterSize?: number;
  /** The next node down the backing chain. */
  readonly backing?: BlockNode;
  /** The filtered node below, for filters. */
  readonly child?: BlockNode;
  /**
   * What a hole of the file below means for the data that `map` answers at `offset`: `hole`, the disk has the hole as well; `zeroes`,
   * the bytes are stored and read as zeroes. Missing or undefined: nobody need ask. (QEMU: BDRV_BLOCK_RAW, BDRV_BLOCK_RECURSE.)
   */
  holesAre?(offset: number): Maybe<'hole' | 'zeroes' | undefined>;
  /** The extent that contains `offset`, at most `length` long, of this layer alone. */
  map(offset: number, length: number): Maybe<BlockExtent>;
  /** Guest-visible bytes, backing chain included. Exactly `target.length` bytes; past the end throws `block.out-of-range`. */
  read(offset: number, target: Uint8Array): Maybe<void>;
  /** As `read`, in other threads where that gains: for jobs that have several reads under way (`read-later.ts`). */
  readLater?(offset: number, target: Uint8Array): Maybe<void>;
  write(offset: number, source: Uint8Array): Maybe<void>;
  /** Makes the range read as zeroes. `unmap` allows giving the space back. */
  writeZeroes(offset: number, length: number, unmap?: boolean): Maybe<void>;
  /** Gives the range back; it may read as anything QEMU's driver would let it read as (zeroes without a backing file). */
  discard(offset: number, length: number): Maybe<void>;
  /** Everything written, metadata included, is on stable storage when it returns. */
  flush(): Maybe<void>;
  /** Flushes where writable and closes the storages that this node owns, and its backing chain. */
  close(): Maybe<void>;
}

/**
 * `Storage`: bytes at offsets, without meaning. A file, a host device, memory, a server.
 *
 * All offsets and lengths are bytes. `read` and `write` move exactly `buffer.length` bytes or throw; a read that passes the end
 * of the storage throws `storage.short-read` naming the offset (a format driver that allows a short tail asks `size()` first).
 * Nothing here is rounded to sectors: that is the business of who asks.
 */
import type { Maybe } from '../../maybe.ts';

/** A stretch of a storage that is data or reads as zeroes without being stored (a hole of a sparse file). */
export interface StorageExtent {
  /** Byte offset. */
  offset: number;
  /** Bytes, greater than 0. */
  length: number;
  kind: 'data' | 'hole';
}

export interface Storage {
  /** What errors and the screen call it; for a file its base name. */
  readonly name: string;
  /** QEMU's protocol driver name: `file`, `host_device`, `memory`, `nbd`, … */
  readonly protocol: string;
  readonly readOnly: boolean;
  /** Current size in bytes. */
  size(): Maybe<number>;
  read(offset: number, target: Uint8Array): Maybe<void>;
  /** The same in another thread, for long reads of a job; missing where reading keeps nobody waiting. */
  readLater?(offset: number, target: Uint8Array): Promise<void>;
  /** Throws `storage.read-only` when opened read-only. Extends the storage when it can grow. */
  write(offset: number, source: Uint8Array): Maybe<void>;
  /** Makes the range read as zeroes; may punch a hole. */
  writeZeroes(offset: number, length: number): Maybe<void>;
  /**
   * Makes the range read as zeroes and gives its space back to the medium; false where that cannot be done, and then nothing is
   * changed. Missing where it never can.
   */
  punch?(offset: number, length: number): Maybe<boolean>;
  /** Sets the size; new bytes read as zeroes. */
  truncate(size: number): Maybe<void>;
  /** Returns when everything written is on stable storage (fdatasync). */
  flush(): Maybe<void>;
  /** The extent that contains `offset`, at most `length` long. A storage that cannot tell answers `data`. */
  extentAt(offset: number, length: number): Maybe<StorageExtent>;
  /** Bytes that the storage occupies on its medium (`st_blocks * 512`), or undefined where nobody can tell. */
  allocatedSize(): Maybe<number | undefined>;
  close(): Maybe<void>;
}

/**
 * Holes of a sparse file (QEMU: `block/file-posix.c`, find_allocation).
 *
 * Another program may write to the file at any moment. What is called a hole was one when the question was asked, so that taking its
 * bytes for zeroes is as right as having read them then; whatever is in doubt is called data and gets read.
 *
 * `lseek` moves the descriptor's offset. Nobody here minds: every read and write says its own offset (pread, pwrite), and no
 * descriptor is shared with another process.
 */
import type { Seek } from './seek.ts';
import type { StorageExtent } from './storage.ts';

export class HoleFinder {
  readonly #fd: number;
  readonly #size: () => number;
  readonly #seek: Seek | undefined;
  /**
   * The stretch of data that was found last. Whoever goes through a file asks again and again within it, and some file systems
   * (tmpfs) look at every page to answer. Data may be kept, since calling something data is never wrong; holes are asked anew.
   */
  #start = 0;
  #end = 0;

  /** For the regular file that `fd` is open on, which stays its owner's; `size` asks anew. Without `seek` everything is data. */
  constructor(fd: number, size: () => number, seek: Seek | undefined) {
    this.#fd = fd;
    this.#size = size;
    this.#seek = seek;
  }

  /** The extent that contains `offset`, at most `length` long. */
  extentAt(offset: number, length: number): StorageExtent {
    // Its first byte is asked anew: a second pass over the file sees what has changed.
    if (offset > this.#start && offset < this.#end) {
      return { offset, length: Math.min(length, this.#end - offset), kind: 'data' };
    }
    const found = this.#seek === undefined ? undefined : this.#find(this.#seek, offset);
    if (found === undefined) return { offset, length, kind: 'data' };
    return { offset, length: Math.min(length, found.end - offset), kind: found.kind };
  }

  /** What begins at `offset` and where it ends; undefined when the file system does not tell or the file changed under the question. */
  #find(seek: Seek, offset: number): { kind: StorageExtent['kind']; end: number } | undefined {
    const before = this.#size();
    const data = seek.data(this.#fd, offset);
    if (data === undefined) {
      // A hole up to the end of the file, or nothing at all. The smaller size counts: the file may have grown or shrunk meanwhile.
      const end = Math.min(before, this.#size());
      return end > offset ? { kind: 'hole', end } : undefined;
    }
    if (data > offset) return { kind: 'hole', end: data };
    const hole = data < offset ? -1 : seek.hole(this.#fd, offset);
    if (hole <= offset) return undefined;
    this.#start = offset;
    this.#end = hole;
    return { kind: 'data', end: hole };
  }
}

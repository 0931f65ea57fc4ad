/**
 * The death of a process (kill -9) at a chosen moment: from the n-th change of a file on, nothing reaches any file any more. A write
 * that is under way may have happened in part.
 */
import type { PlatterError } from '../../errors.ts';
import { fileError } from '../storage/file-error.ts';
import { FileStorage } from '../storage/file.ts';

export class Death extends Error {
  override readonly name = 'Death';
}

const PAGE = 4096;

interface Outcome {
  died: boolean;
  /** Writes, truncations and flushes that were begun. */
  changes: number;
}

/**
 * Runs `work` and lets it die at change number `at` (from 1; never by default). Of a large write that it dies in, the first half
 * is written when `torn`. Errors other than the death are thrown on.
 */
export async function dyingAt(work: () => Promise<void>, at = Infinity, torn = false): Promise<Outcome> {
  // oxlint-disable-next-line typescript/unbound-method -- called with their storage, and put back
  const { write, truncate, flush } = FileStorage.prototype;
  let changes = 0;
  const alive = (): boolean => ++changes < at;
  FileStorage.prototype.write = function (offset, source) {
    if (alive()) return write.call(this, offset, source);
    // What lies within one page of the kernel's cache is written whole or not at all.
    const part = Math.floor(source.length / 2 / PAGE) * PAGE;
    if (changes === at && torn) write.call(this, offset, source.subarray(0, part));
    throw new Death();
  };
  FileStorage.prototype.truncate = function (size) {
    if (!alive()) throw new Death();
    truncate.call(this, size);
  };
  FileStorage.prototype.flush = function () {
    if (!alive()) throw new Death();
    flush.call(this);
  };
  try {
    await work();
    return { died: false, changes };
  } catch (error) {
    if (changes < at) throw error;
    return { died: true, changes: at };
  } finally {
    Object.assign(FileStorage.prototype, { write, truncate, flush });
  }
}

/** At most `most` of the moments 1 to `changes`, the first and the last among them. */
export function moments(changes: number, most: number): number[] {
  if (changes <= most) return Array.from({ length: changes }, (_, index) => index + 1);
  const step = (changes - 1) / (most - 1);
  return Array.from({ length: most }, (_, index) => Math.round(1 + index * step));
}

/**
 * Runs `work` while no file may become longer than `bytes`: as on a file system that is full, a write that would go past it writes
 * what fits and throws `storage.no-space`.
 */
export async function withRoom<T>(bytes: number, work: () => Promise<T>): Promise<T> {
  // oxlint-disable-next-line typescript/unbound-method -- called with their storage, and put back
  const { write, truncate } = FileStorage.prototype;
  const full = (storage: FileStorage, operation: 'write' | 'truncate'): PlatterError =>
    fileError(Object.assign(new Error('full'), { code: 'ENOSPC' }), storage.name, operation, bytes);
  FileStorage.prototype.write = function (offset, source) {
    const fits = Math.max(0, Math.min(source.length, bytes - offset));
    if (fits > 0) write.call(this, offset, source.subarray(0, fits));
    if (fits < source.length) throw full(this, 'write');
  };
  FileStorage.prototype.truncate = function (size) {
    if (size > bytes && size > this.size()) throw full(this, 'truncate');
    truncate.call(this, size);
  };
  try {
    return await work();
  } finally {
    Object.assign(FileStorage.prototype, { write, truncate });
  }
}

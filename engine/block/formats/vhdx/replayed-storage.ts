/** An image as it would be with its log replayed, without a byte of the file changed: for opening read-only. */
import { andThen, type Maybe } from '../../../maybe.ts';
import { PlatterError } from '../../../errors.ts';
import type { Storage, StorageExtent } from '../../storage/storage.ts';
import { LOG_SECTOR, type LogReplay } from './log.ts';

export class ReplayedStorage implements Storage {
  readonly name: string;
  readonly protocol: string;
  readonly readOnly = true;
  readonly #file: Storage;
  readonly #fileSize: number;
  readonly #size: number;
  /** By number of the 4096-byte sector. */
  readonly #sectors = new Map<number, Uint8Array>();
  readonly #zeroes: { start: number; end: number }[] = [];

  /** `fileSize`: the file's own length, bytes. Takes over `file`. */
  constructor(file: Storage, fileSize: number, replay: LogReplay) {
    this.name = file.name;
    this.protocol = file.protocol;
    this.#file = file;
    this.#fileSize = fileSize;
    this.#size = replay.fileSize;
    for (const change of replay.changes) {
      if (change.data !== undefined) {
        this.#sectors.set(change.offset / LOG_SECTOR, change.data);
        continue;
      }
      const end = change.offset + change.length;
      this.#zeroes.push({ start: change.offset, end });
      for (const sector of this.#sectors.keys()) {
        if (sector * LOG_SECTOR >= change.offset && sector * LOG_SECTOR < end) this.#sectors.delete(sector);
      }
    }
  }

  size(): number {
    return this.#size;
  }

  read(offset: number, target: Uint8Array): Maybe<void> {
    if (offset + target.length > this.#size) {
      throw new PlatterError(
        'storage.short-read',
        `"${this.name}" ends at byte ${this.#size}: more was expected`,
        {
          image: this.name,
          offset: this.#size,
        },
      );
    }
    const there = Math.max(0, Math.min(target.length, this.#fileSize - offset));
    target.fill(0, there);
    return andThen(there === 0 ? undefined : this.#file.read(offset, target.subarray(0, there)), () =>
      this.#amend(offset, target),
    );
  }

  write(): never {
    throw this.#readOnly();
  }

  writeZeroes(): never {
    throw this.#readOnly();
  }

  truncate(): never {
    throw this.#readOnly();
  }

  flush(): void {
    // Nothing is ever written.
  }

  extentAt(offset: number, length: number): StorageExtent {
    return { offset, length, kind: 'data' };
  }

  allocatedSize(): Maybe<number | undefined> {
    return this.#file.allocatedSize();
  }

  close(): Maybe<void> {
    return this.#file.close();
  }

  #amend(offset: number, target: Uint8Array): void {
    const end = offset + target.length;
    for (const zero of this.#zeroes) {
      if (zero.start < end && zero.end > offset) {
        target.fill(0, Math.max(0, zero.start - offset), Math.min(target.length, zero.end - offset));
      }
    }
    for (let sector = Math.floor(offset / LOG_SECTOR); sector * LOG_SECTOR < end; sector++) {
      const data = this.#sectors.get(sector);
      if (data === undefined) continue;
      const start = sector * LOG_SECTOR;
      const from = Math.max(0, offset - start);
      const to = Math.min(LOG_SECTOR, end - start);
      target.set(data.subarray(from, to), start + from - offset);
    }
  }

  #readOnly(): PlatterError {
    return new PlatterError('storage.read-only', `"${this.name}" is open read-only`, { image: this.name });
  }
}

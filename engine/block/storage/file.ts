/**
 * `FileStorage`: a local file or a host block device, read and written synchronously (pread, pwrite).
 *
 * It lives in a process of its own where nobody waits for it; a 4 KiB read out of the page cache costs about a microsecond.
 */
import {
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  read,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  write,
  writeSync,
  type Stats,
} from 'node:fs';
import { basename } from 'node:path';
import { ZEROES } from '../../bytes/zeroes.ts';
import { PlatterError } from '../../errors.ts';
import { fileError } from './file-error.ts';
import { HoleFinder } from './holes.ts';
import { punchFunction } from './punch.ts';
import { seekFunctions } from './seek.ts';
import type { Storage, StorageExtent } from './storage.ts';

export interface FileOpenOptions {
  /** Default true. */
  readOnly?: boolean;
  /**
   * The path is canonical, and whoever judged it means that very file: refuse one that a symbolic link leads to, wherever in the path
   * it was put meanwhile.
   */
  noFollow?: boolean;
  /** Make the file; it must not exist. */
  create?: boolean;
  /** What a person calls it, where the path has another name for now. Default: the path's own. */
  name?: string;
}

/** Opens `path`. Throws `storage.not-found`, `storage.permission`, `storage.is-directory`, `storage.not-a-file`, … */
export function openFile(path: string, options: FileOpenOptions = {}): FileStorage {
  const name = options.name ?? basename(path);
  const readOnly = options.readOnly ?? true;
  if (path.includes('\0'))
    throw new PlatterError('storage.bad-path', 'The path contains a NUL byte', { image: name });
  let flags = readOnly ? constants.O_RDONLY : constants.O_RDWR;
  // Opening a FIFO would wait for its other end: never block here.
  flags |= constants.O_NONBLOCK ?? 0;
  if (options.noFollow === true) flags |= constants.O_NOFOLLOW ?? 0;
  if (options.create === true) flags |= constants.O_CREAT | constants.O_EXCL | constants.O_RDWR;
  let fd: number;
  try {
    fd = openSync(path, flags, 0o644);
  } catch (error) {
    throw fileError(error, name, 'open');
  }
  try {
    if (options.noFollow === true) checkWhere(fd, path, name);
    return new FileStorage(fd, path, readOnly && options.create !== true, name);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The file that is open is the one at `path`: Linux tells by the descriptor, elsewhere the path is resolved once more. */
function checkWhere(fd: number, path: string, image: string): void {
  if (openedPath(fd, path, image) === path) return;
  throw new PlatterError(
    'storage.symlink',
    `"${image}" is reached by a symbolic link where none is allowed`,
    {
      image,
      hint: 'Something changed on the way to it after it was judged.',
    },
  );
}

function openedPath(fd: number, path: string, image: string): string {
  const link = `/proc/self/fd/${fd}`;
  try {
    return existsSync(link) ? readlinkSync(link) : realpathSync.native(path);
  } catch (error) {
    throw fileError(error, image, 'open');
  }
}

export class FileStorage implements Storage {
  readonly name: string;
  readonly path: string;
  readonly protocol: 'file' | 'host_device';
  readonly readOnly: boolean;
  /** `device:inode`, equal for two names of one file. */
  readonly identity: string;
  /** The device's size; a regular file is asked anew each time. */
  readonly #deviceSize: number | undefined;
  #fd: number;
  /** Made when somebody asks. */
  #holes: HoleFinder | undefined;

  /** Takes over `fd`. */
  constructor(fd: number, path: string, readOnly: boolean, name = basename(path)) {
    this.#fd = fd;
    this.path = path;
    this.name = name;
    this.readOnly = readOnly;
    const stat = this.#stat();
    if (stat.isDirectory()) {
      throw new PlatterError('storage.is-directory', `"${this.name}" is a directory, not an image`, {
        image: this.name,
      });
    }
    if (!stat.isFile() && !stat.isBlockDevice()) {
      throw new PlatterError('storage.not-a-file', `"${this.name}" is neither a file nor a block device`, {
        image: this.name,
        hint: 'Pipes, sockets and character devices cannot hold an image.',
      });
    }
    this.protocol = stat.isFile() ? 'file' : 'host_device';
    this.identity = stat.isFile() ? `${stat.dev}:${stat.ino}` : `device:${stat.rdev}`;
    this.#deviceSize = stat.isFile() ? undefined : this.#measureDevice(stat.rdev);
  }

  size(): number {
    return this.#deviceSize ?? this.#stat().size;
  }

  read(offset: number, target: Uint8Array): void {
    let done = 0;
    try {
      // One call nearly always; a loop because a read may be cut short by a signal or at 2 GiB.
      while (done < target.length) {
        const count = readSync(this.#fd, target, done, target.length - done, offset + done);
        if (count === 0) break;
        done += count;
      }
    } catch (error) {
      throw fileError(error, this.name, 'read', offset + done);
    }
    if (done < target.length) throw this.#shortRead(offset + done);
  }

  /** The same in Node's thread pool. The file must stay open until then. */
  async readLater(offset: number, target: Uint8Array): Promise<void> {
    for (let done = 0; done < target.length;) {
      const count = await this.#readSome(offset + done, target.subarray(done));
      if (count === 0) throw this.#shortRead(offset + done);
      done += count;
    }
  }

  #readSome(offset: number, target: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#fd, target, 0, target.length, offset, (error, count) => {
        if (error === null) resolve(count);
        else reject(fileError(error, this.name, 'read', offset));
      });
    });
  }

  write(offset: number, source: Uint8Array): void {
    this.#writable();
    let done = 0;
    try {
      while (done < source.length) {
        done += writeSync(this.#fd, source, done, source.length - done, offset + done);
      }
    } catch (error) {
      throw fileError(error, this.name, 'write', offset + done);
    }
  }

  /** The same in Node's thread pool. `source` must stay as it is until then, and the file open. */
  async writeLater(offset: number, source: Uint8Array): Promise<void> {
    this.#writable();
    for (let done = 0; done < source.length;) {
      done += await this.#writeSome(offset + done, source.subarray(done));
    }
  }

  #writeSome(offset: number, source: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.#fd, source, 0, source.length, offset, (error, count) => {
        if (error === null) resolve(count);
        else reject(fileError(error, this.name, 'write', offset));
      });
    });
  }

  /** Zeroes are written, so that the space stays taken, except past the end, where growing the file leaves a hole. */
  writeZeroes(offset: number, length: number): void {
    this.#writable();
    const end = offset + length;
    const size = this.size();
    for (let at = offset; at < Math.min(end, size);) {
      const count = Math.min(ZEROES.length, Math.min(end, size) - at);
      this.write(at, count === ZEROES.length ? ZEROES : ZEROES.subarray(0, count));
      at += count;
    }
    if (end > size && this.#deviceSize === undefined) this.truncate(end);
  }

  punch(offset: number, length: number): boolean {
    this.#writable();
    if (this.#deviceSize !== undefined || length === 0) return false;
    return punchFunction()?.(this.#fd, offset, length) ?? false;
  }

  truncate(size: number): void {
    this.#writable();
    try {
      ftruncateSync(this.#fd, size);
    } catch (error) {
      throw fileError(error, this.name, 'truncate', size);
    }
  }

  flush(): void {
    if (this.readOnly) return;
    try {
      fdatasyncSync(this.#fd);
    } catch (error) {
      throw fileError(error, this.name, 'flush');
    }
  }

  /** Holes of a regular file, where the system tells them; everything else is called data: who wants to know more reads it. */
  extentAt(offset: number, length: number): StorageExtent {
    if (this.#deviceSize !== undefined) return { offset, length, kind: 'data' };
    this.#holes ??= new HoleFinder(this.#fd, () => this.#stat().size, seekFunctions());
    return this.#holes.extentAt(offset, length);
  }

  allocatedSize(): number {
    return this.#stat().blocks * 512;
  }

  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    try {
      closeSync(fd);
    } catch (error) {
      throw fileError(error, this.name, 'close');
    }
  }

  #stat(): Stats {
    try {
      return fstatSync(this.#fd);
    } catch (error) {
      throw fileError(error, this.name, 'read');
    }
  }

  #writable(): void {
    if (this.readOnly) {
      throw new PlatterError('storage.read-only', `"${this.name}" is open read-only`, {
        image: this.name,
        hint: 'Open it for writing.',
      });
    }
  }

  #shortRead(offset: number): PlatterError {
    return new PlatterError(
      'storage.short-read',
      `"${this.name}" ends at byte ${offset}: more was expected`,
      {
        image: this.name,
        offset,
        hint: 'The file is truncated, or something shortened it while it was open.',
      },
    );
  }

  /** Linux: `/sys/dev/block/MAJOR:MINOR/size` counts 512-byte sectors (fstat says 0 for a device). */
  #measureDevice(rdev: number): number {
    const major = ((rdev >>> 8) & 0xfff) | (Math.floor(rdev / 2 ** 32) & ~0xfff);
    const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
    try {
      return Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'ascii')) * 512;
    } catch {
      return this.#findEnd();
    }
  }

  /** The last readable byte by halving, where no /sys tells. */
  #findEnd(): number {
    const byte = new Uint8Array(1);
    let low = 0;
    let high = 2 ** 50;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      let count = 0;
      try {
        count = readSync(this.#fd, byte, 0, 1, middle);
      } catch {
        count = 0;
      }
      if (count > 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A file that appears under its name only when it is complete: temporary name, fsync, rename. */
import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { fileError } from '../storage/file-error.ts';
import { openFile, type FileStorage } from '../storage/file.ts';

export interface NewFile {
  /** The temporary file beside the final name, empty, open for writing. */
  storage: FileStorage;
  /** The path that it has until `commit`. */
  path: string;
  /** Makes it stable and gives it its name. The storage must be closed. Throws `storage.exists` unless `overwrite`. */
  commit(): void;
  /** Removes it; for every way out that is not `commit`. */
  discard(): void;
}

/** Throws what opening a file throws, naming the final file. */
export function createNewFile(path: string, overwrite: boolean): NewFile {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.part`);
  const storage = openFile(temporary, { create: true, readOnly: false, name: basename(path) });
  return {
    storage,
    path: temporary,
    commit: () => {
      try {
        sync(temporary);
        giveName(temporary, path, overwrite);
        sync(dirname(path));
      } catch (error) {
        throw fileError(error, basename(path), 'rename');
      }
    },
    discard: () => {
      storage.close();
      rmSync(temporary, { force: true });
    },
  };
}

/** rename would replace a file that came up meanwhile; link does not, where the file system knows it. */
function giveName(temporary: string, path: string, overwrite: boolean): void {
  if (!overwrite) {
    try {
      linkSync(temporary, path);
      rmSync(temporary);
      return;
    } catch (error) {
      const errno = error instanceof Error && 'code' in error ? error.code : undefined;
      if (errno !== 'EPERM' && errno !== 'ENOTSUP' && errno !== 'ENOSYS') throw error;
    }
  }
  renameSync(temporary, path);
}

function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

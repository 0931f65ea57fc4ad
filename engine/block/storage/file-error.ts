/** The operating system's errors in words: what could not be done with which file, and what to do about it. */
import { PlatterError } from '../../errors.ts';

interface Explanation {
  code: string;
  says: string;
  hint?: string;
}

const EXPLAINED: Record<string, Explanation> = {
  ENOENT: { code: 'storage.not-found', says: 'does not exist', hint: 'Was it moved or renamed?' },
  ENOTDIR: {
    code: 'storage.not-found',
    says: 'does not exist',
    hint: 'A part of its path is not a directory.',
  },
  EACCES: {
    code: 'storage.permission',
    says: 'may not be opened',
    hint: 'You lack permission for this file.',
  },
  EPERM: {
    code: 'storage.permission',
    says: 'may not be opened',
    hint: 'You lack permission for this file.',
  },
  EISDIR: { code: 'storage.is-directory', says: 'is a directory, not an image' },
  EROFS: { code: 'storage.read-only-media', says: 'lies on a read-only medium', hint: 'Open it read-only.' },
  ETXTBSY: { code: 'storage.busy', says: 'is in use', hint: 'Close the program that uses it.' },
  EBUSY: { code: 'storage.busy', says: 'is in use', hint: 'Close the program that uses it.' },
  EEXIST: { code: 'storage.exists', says: 'exists already', hint: 'Choose another name.' },
  ELOOP: { code: 'storage.symlink', says: 'is a symbolic link where none is allowed' },
  ENAMETOOLONG: { code: 'storage.bad-path', says: 'has too long a name' },
  ENXIO: { code: 'storage.not-a-file', says: 'is neither a file nor a block device' },
  ENOSPC: { code: 'storage.no-space', says: 'could not grow: no space is left', hint: 'Free some space.' },
  EDQUOT: {
    code: 'storage.no-space',
    says: 'could not grow: your quota is used up',
    hint: 'Free some space.',
  },
  EFBIG: { code: 'storage.too-big', says: 'would become larger than its file system allows' },
  EMFILE: { code: 'storage.too-many-files', says: 'could not be opened: too many files are open' },
  ENFILE: { code: 'storage.too-many-files', says: 'could not be opened: too many files are open' },
  ...gone(
    'ESTALE',
    'ENOTCONN',
    'ECONNABORTED',
    'ECONNRESET',
    'ESHUTDOWN',
    'EHOSTDOWN',
    'EHOSTUNREACH',
    'ENETDOWN',
  ),
  ...gone('ENETUNREACH', 'ETIMEDOUT', 'ENOLINK', 'EREMOTEIO', 'ENODEV', 'ENOMEDIUM'),
  EIO: { code: 'storage.io', says: 'failed: the device reports an input/output error' },
};

/** What file systems say whose server, or whose medium, does not answer any more (NFS, SMB, FUSE, removable disks). */
function gone(...errnos: string[]): Record<string, Explanation> {
  const hint = 'The file system that it lies on went away: connect it again, and open the image anew.';
  return Object.fromEntries(errnos.map((errno) => [errno, { code: 'storage.gone', says: 'is gone', hint }]));
}

export type FileOperation = 'open' | 'read' | 'write' | 'flush' | 'truncate' | 'rename' | 'close';

/** A `PlatterError` with the errno, for whatever `node:fs` threw. `offset` is where in the file, bytes. */
export function fileError(
  error: unknown,
  image: string,
  operation: FileOperation,
  offset?: number,
): PlatterError {
  const errno = error instanceof Error && 'code' in error ? String(error.code) : 'UNKNOWN';
  const found = EXPLAINED[errno] ?? { code: 'storage.failed', says: `failed (${errno})` };
  const where = offset === undefined ? '' : ` at byte ${offset}`;
  const message = `"${image}" ${found.says} (${operation}${where})`;
  return new PlatterError(
    found.code,
    message,
    { image, offset, errno, hint: found.hint, value: operation },
    error,
  );
}

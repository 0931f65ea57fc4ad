/** `fallocate` that gives back the space of a part of a file (QEMU: `block/file-posix.c`, handle_aiocb_discard). */
import { once } from '../once.ts';
import { cLibrary } from './c-library.ts';

/** `FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE` of `linux/falloc.h`. */
const PUNCH = 3;

/** Of the regular file `fd`, bytes; parts of blocks become zeroes. False where the file system cannot: nothing is changed then. */
export type PunchHole = (fd: number, offset: number, length: number) => boolean;

/** Undefined where there is none: everywhere but on Linux. */
export const punchFunction = once(load);

function load(): PunchHole | undefined {
  const library = process.platform === 'linux' ? cLibrary() : undefined;
  if (library === undefined) return undefined;
  const fallocate = library.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
  return (fd, offset, length) => fallocate(fd, PUNCH, offset, length) === 0;
}

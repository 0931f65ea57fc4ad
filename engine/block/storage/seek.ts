/** `lseek` with SEEK_DATA and SEEK_HOLE. */
import os from 'node:os';
import { once } from '../once.ts';
import { cLibrary } from './c-library.ts';

/** The next byte of data, or of a hole, at or after `offset` of the open file `fd`. */
export interface Seek {
  /** Undefined where only a hole or nothing follows; -1 where the file system does not tell. Bytes. */
  data(fd: number, offset: number): number | undefined;
  /** The end of the file counts as a hole. -1 where the file system does not tell. Bytes. */
  hole(fd: number, offset: number): number;
}

/** `SEEK_DATA` and `SEEK_HOLE`: `linux/fs.h`, and `sys/unistd.h` of Darwin, which has them the other way round. */
const WHENCE: Partial<Record<NodeJS.Platform, { data: number; hole: number }>> = {
  linux: { data: 3, hole: 4 },
  darwin: { data: 4, hole: 3 },
};

/** Undefined where there is none: on Windows, and where the C library cannot be called. */
export const seekFunctions = once(load);

function load(): Seek | undefined {
  const whence = WHENCE[process.platform];
  const library = whence === undefined ? undefined : cLibrary();
  if (whence === undefined || library === undefined) return undefined;
  const lseek = library.func('int64_t lseek(int fd, int64_t offset, int whence)');
  const at = (fd: number, offset: number, how: number): number => Number(lseek(fd, offset, how));
  return {
    data: (fd, offset) => {
      const place = at(fd, offset, whence.data);
      return place < 0 && library.errno() === os.constants.errno.ENXIO ? undefined : place;
    },
    hole: (fd, offset) => at(fd, offset, whence.hole),
  };
}

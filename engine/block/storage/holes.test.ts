/** Holes: what the system tells, and what is said when the file changes between two questions. */
import { closeSync, existsSync, fstatSync, openSync, truncateSync, writeSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { openImage } from '../graph.ts';
import { convert } from '../jobs/convert.ts';
import { testFolder } from '../testing/qemu.ts';
import { HoleFinder } from './holes.ts';
import { seekFunctions, type Seek } from './seek.ts';

const at = testFolder();
const MIB = 1 << 20;
const open: number[] = [];
afterEach(() => open.splice(0).forEach(closeSync));

/** A file of `size` bytes with data in its second MiB, open for reading and writing. */
function sparse(name: string, size = 8 * MIB): number {
  const fd = openSync(at(name), 'w+');
  open.push(fd);
  writeSync(fd, new Uint8Array(MIB).fill(7), 0, MIB, MIB);
  truncateSync(at(name), size);
  return fd;
}

const finder = (fd: number, seek: Seek | undefined): HoleFinder =>
  new HoleFinder(fd, () => fstatSync(fd).size, seek);
const told = seekFunctions();
const fallback: Seek = { data: () => -1, hole: () => -1 };

describe.skipIf(process.platform !== 'linux')('on Linux', () => {
  it('are told', () => {
    expect(told).toBeDefined();
    const holes = finder(sparse('told'), told);
    expect(holes.extentAt(0, 8 * MIB)).toEqual({ offset: 0, length: MIB, kind: 'hole' });
    expect(holes.extentAt(MIB, 8 * MIB)).toEqual({ offset: MIB, length: MIB, kind: 'data' });
    expect(holes.extentAt(MIB + 5, 100)).toEqual({ offset: MIB + 5, length: 100, kind: 'data' });
    expect(holes.extentAt(3 * MIB, 9 * MIB)).toEqual({ offset: 3 * MIB, length: 5 * MIB, kind: 'hole' });
  });

  it('are asked for anew: one that was filled meanwhile is data', () => {
    const fd = sparse('filled');
    const holes = finder(fd, told);
    expect(holes.extentAt(4 * MIB, MIB).kind).toBe('hole');
    writeSync(fd, new Uint8Array(4096).fill(1), 0, 4096, 4 * MIB);
    expect(holes.extentAt(4 * MIB, MIB)).toEqual({ offset: 4 * MIB, length: 4096, kind: 'data' });
  });

  it('of a file that became shorter are none', () => {
    const fd = sparse('shorter');
    const holes = finder(fd, told);
    truncateSync(at('shorter'), 5 * MIB);
    expect(holes.extentAt(4 * MIB, 4 * MIB)).toEqual({ offset: 4 * MIB, length: MIB, kind: 'hole' });
    // What has no bytes is to be read, so that somebody hears of it.
    expect(holes.extentAt(5 * MIB, MIB)).toEqual({ offset: 5 * MIB, length: MIB, kind: 'data' });
  });

  it('do not hide from a copy that its source was cut off', async () => {
    sparse('cut.raw');
    const { node } = await openImage(at('cut.raw'), { format: 'raw' });
    truncateSync(at('cut.raw'), 3 * MIB);
    await expect(convert(node, at('copy.raw'), { format: 'raw' })).rejects.toMatchObject({
      code: 'block.past-end',
      context: { offset: 3 * MIB },
    });
    expect(existsSync(at('copy.raw'))).toBe(false);
    await node.close();
  });
});

it('without anybody who tells, everything is data', () => {
  for (const seek of [undefined, fallback]) {
    const holes = finder(sparse('silent'), seek);
    expect(holes.extentAt(0, MIB)).toEqual({ offset: 0, length: MIB, kind: 'data' });
    expect(holes.extentAt(4 * MIB, 9)).toEqual({ offset: 4 * MIB, length: 9, kind: 'data' });
  }
});

describe('a file that changes between two questions', () => {
  it('grows: what was added is no hole', () => {
    const fd = sparse('grows', 4 * MIB);
    const seek: Seek = {
      ...fallback,
      data: () => {
        truncateSync(at('grows'), 8 * MIB);
        writeSync(fd, new Uint8Array(10).fill(1), 0, 10, 6 * MIB);
        return undefined;
      },
    };
    expect(finder(fd, seek).extentAt(3 * MIB, 5 * MIB)).toEqual({
      offset: 3 * MIB,
      length: MIB,
      kind: 'hole',
    });
  });

  it('shrinks: what is gone is no hole', () => {
    const fd = sparse('shrinks', 8 * MIB);
    const seek: Seek = {
      ...fallback,
      data: () => {
        truncateSync(at('shrinks'), 3 * MIB);
        return undefined;
      },
    };
    expect(finder(fd, seek).extentAt(4 * MIB, 4 * MIB).kind).toBe('data');
    truncateSync(at('shrinks'), 8 * MIB);
    expect(finder(fd, seek).extentAt(2 * MIB, 6 * MIB)).toEqual({
      offset: 2 * MIB,
      length: MIB,
      kind: 'hole',
    });
  });

  it('gets a hole where data was found: it is data still', () => {
    const seek: Seek = { data: (_, offset) => offset, hole: (_, offset) => offset };
    expect(finder(sparse('punched'), seek).extentAt(MIB, 5)).toEqual({
      offset: MIB,
      length: 5,
      kind: 'data',
    });
  });
});

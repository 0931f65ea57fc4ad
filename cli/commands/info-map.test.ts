/** `info` and `map` against qemu-img: the text line by line, the JSON as text, on images that qemu-img and qemu-io made. */
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MapExtent } from '#contract/images.ts';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';
import { platterIn, type Ran } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);

/** Name of the image, and how the real programs make it. */
const images: Record<string, (path: string) => void> = {
  'empty.qcow2': (path) => void qemuImg(folder, 'create', '-q', '-f', 'qcow2', path, '64M'),
  'written.qcow2': (path) => {
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', path, '256M');
    qemuIo(
      folder,
      'qcow2',
      path,
      'write -P 1 0 200k',
      'write -P 2 10M 3M',
      'write -z 20M 1M',
      'discard 11M 1M',
      'write 255M 1M',
    );
  },
  'small-clusters.qcow2': (path) => {
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512,refcount_bits=1', path, '2M');
    qemuIo(folder, 'qcow2', path, 'write -P 1 1k 3k', 'write -z 100k 5k', 'write -P 2 1M 7k');
  },
  'version2.qcow2': (path) => {
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-o', 'compat=0.10', path, '32M');
    qemuIo(folder, 'qcow2', path, 'write -P 1 1M 1M', 'write -z 4M 1M');
  },
  'lazy.qcow2': (path) =>
    void qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-o', 'lazy_refcounts=on', path, '1M'),
  'extended.qcow2': (path) => {
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-o', 'extended_l2=on,cluster_size=128k', path, '16M');
    qemuIo(folder, 'qcow2', path, 'write -P 1 4k 4k', 'write -z 64k 8k', 'write -P 2 1M 20k');
  },
  'snapshots.qcow2': (path) => {
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', path, '4M');
    qemuIo(folder, 'qcow2', path, 'write -P 1 0 1M');
    for (const name of ['first', 'the second, with a longer name'])
      qemuImg(folder, 'snapshot', '-c', name, path);
    qemuIo(folder, 'qcow2', path, 'write -P 2 512k 1M');
  },
  'bitmaps.qcow2': (path) => {
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', path, '4M');
    qemuImg(folder, 'bitmap', '--add', '-g', '4k', path, 'enabled');
    qemuImg(folder, 'bitmap', '--add', '--disable', path, 'disabled');
  },
  'base.qcow2': (path) => {
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', path, '8M');
    qemuIo(folder, 'qcow2', path, 'write -P 1 0 2M', 'write -z 3M 64k');
  },
  'sub/middle.qcow2': (path) => {
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-b', '../base.qcow2', '-F', 'qcow2', path, '12M');
    qemuIo(folder, 'qcow2', path, 'write -P 3 1M 128k', 'write -z 128k 64k');
  },
  'top.qcow2': (path) => {
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-b', 'sub/middle.qcow2', '-F', 'qcow2', path);
    qemuIo(folder, 'qcow2', path, 'write -P 4 10M 64k', 'discard 1M 64k');
  },
  'over-raw.qcow2': (path) => {
    writeFileSync(join(folder, 'backing.raw'), new Uint8Array(2_000_384).fill(7));
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-b', 'backing.raw', '-F', 'raw', path, '4M');
    qemuIo(folder, 'qcow2', path, 'write -P 1 1M 64k');
  },
  'full.raw': (path) => writeFileSync(join(folder, path), new Uint8Array(3 << 20).fill(5)),
  'hole.raw': (path) => {
    writeFileSync(join(folder, path), '');
    truncateSync(join(folder, path), 16 << 20);
  },
  'odd.raw': (path) => writeFileSync(join(folder, path), new Uint8Array(1049).fill(1)),
};

beforeAll(() => {
  mkdirSync(join(folder, 'sub'));
  for (const [name, make] of Object.entries(images)) make(name);
  qemuImg(folder, 'convert', '-q', '-c', '-O', 'qcow2', 'written.qcow2', 'compressed.qcow2');
});

/** As `platter …`, run where the images are. */
const here = (...words: string[]): Promise<Ran> => platterIn(folder, words);

const formatOf = (name: string): string[] => (name.endsWith('.raw') ? ['-f', 'raw'] : []);

describe.each([...Object.keys(images), 'compressed.qcow2'])('%s', (name) => {
  const format = formatOf(name);

  it.each([[[]], [['--output=json']]])('info %j', async (options) => {
    const ran = await here('info', ...options, ...format, name);
    expect(ran.out).toBe(qemuImg(folder, 'info', ...options, ...format, name));
    expect(ran.code).toBe(0);
  });

  it.each([[[]], [['--output=json']]])('info --backing-chain %j', async (options) => {
    const ran = await here('info', '--backing-chain', ...options, ...format, name);
    expect(ran.out).toBe(qemuImg(folder, 'info', '--backing-chain', ...options, ...format, name));
    expect(ran).toMatchObject({ code: 0, err: '' });
  });

  it.each([[[]], [['--start-offset', '1M', '--max-length', '1500k']]])(
    'map --output=json %j',
    async (part) => {
      const options = ['--output=json', ...part, ...format];
      const ran = await here('map', '--follow', ...options, name);
      expect(ran.out).toBe(qemuImg(folder, 'map', ...options, name));
      expect(ran).toMatchObject({ code: 0, err: '' });
    },
  );
});

it.each(Object.keys(images))('%s map', async (name) => {
  const ran = await here('map', '--follow', ...formatOf(name), name);
  expect(ran.out).toBe(qemuImg(folder, 'map', ...formatOf(name), name));
});

describe('what stands behind an image', () => {
  it('is not opened unless that is said', async () => {
    for (const command of ['info', 'map']) {
      const ran = await here(command, 'top.qcow2');
      expect(ran.code).toBe(0);
      expect(ran.err).toContain('the backing file was not opened');
    }
  });

  it('is shown as not present when it was not opened', async () => {
    const extents = JSON.parse((await here('map', '--json', 'over-raw.qcow2')).out);
    expect(extents[0]).toEqual({
      start: 0,
      length: 1 << 20,
      depth: 1,
      present: false,
      zero: false,
      data: false,
    });
    expect(extents[1]).toMatchObject({ start: 1 << 20, length: 65536, depth: 0, present: true, data: true });
  });

  it('is named when it is missing', async () => {
    qemuImg(
      folder,
      'create',
      '-q',
      '-f',
      'qcow2',
      '-u',
      '-b',
      'gone.qcow2',
      '-F',
      'qcow2',
      'orphan.qcow2',
      '1M',
    );
    const ran = await here('info', '--backing-chain', 'orphan.qcow2');
    expect(ran.code).toBe(1);
    expect(ran.out).toBe('');
    expect(ran.err).toMatch(/gone\.qcow2.* does not exist/);
    expect((await here('info', 'orphan.qcow2')).out).toBe(qemuImg(folder, 'info', 'orphan.qcow2'));
  });
});

describe('what is no image', () => {
  it.each([
    ['missing.qcow2', () => undefined, /missing\.qcow2.* does not exist/],
    ['folder', (path: string) => mkdirSync(path), /folder.* is a directory/],
    ['empty.img', (path: string) => writeFileSync(path, ''), /empty\.img.* is empty/],
    [
      'cut.qcow2',
      (path: string) => {
        qemuImg(folder, 'create', '-q', '-f', 'qcow2', path, '1M');
        truncateSync(path, 60);
      },
      /cut\.qcow2.*\b(?:60|ends|cut)\b/,
    ],
  ])('%s', async (name, make, message) => {
    make(join(folder, name));
    for (const command of ['info', 'map']) {
      const ran = await here(command, name);
      expect(ran.code).toBe(1);
      expect(ran.out).toBe('');
      expect(ran.err).toMatch(message);
    }
  });

  it('is refused under another format, and an unknown format is named', async () => {
    expect((await here('info', '-f', 'qcow2', 'odd.raw')).err).toMatch(/^platter: odd\.raw: .*qcow2/);
    const ran = await here('info', '-f', 'nosuch', 'odd.raw');
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('nosuch');
  });
});

/** Node gives no SEEK_HOLE, so what QEMU calls a hole in a file is called data here: more is read, nothing is lost. */
describe('holes in a file that has data too', () => {
  it.each(['sparse.raw', 'preallocated.qcow2'])('%s', async (name) => {
    if (name === 'sparse.raw') {
      qemuImg(folder, 'create', '-q', '-f', 'raw', name, '16M');
      qemuIo(folder, 'raw', name, 'write -P 1 1M 64k', 'write -P 1 15M 1M');
    } else qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', name, '8M');
    const ours = JSON.parse((await here('map', '--json', ...formatOf(name), name)).out) as MapExtent[];
    const theirs = JSON.parse(
      qemuImg(folder, 'map', '--output=json', ...formatOf(name), name),
    ) as MapExtent[];
    const end = (extents: MapExtent[]): number =>
      (extents.at(-1)?.start ?? 0) + (extents.at(-1)?.length ?? 0);
    expect(end(ours)).toBe(end(theirs));
    for (const stored of theirs.filter(({ data }) => data)) {
      const around = ours.find(
        ({ start, length }) => start <= stored.start && stored.start + stored.length <= start + length,
      );
      expect(around).toMatchObject({ data: true });
      expect((around?.offset ?? 0) - (around?.start ?? 0)).toBe((stored.offset ?? 0) - stored.start);
    }
  });
});

it('says at which byte a stretch cannot be shown as text', async () => {
  const ran = await here('map', 'compressed.qcow2');
  expect(ran.code).toBe(1);
  expect(ran.err).toMatch(/compressed\.qcow2: what is at 0 of the disk is compressed/);
});

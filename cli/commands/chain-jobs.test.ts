/** `commit` and `rebase` beside qemu-img: the same words, and images that it reads alike and finds sound. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { allowAll } from '#engine/block/gate.ts';
import { rebaseImage } from '#engine/block/jobs/rebase.ts';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';
import { platter, pressControlC } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const made = join(folder, 'made');
const ours = join(folder, 'ours');
const theirs = join(folder, 'theirs');

/** base ← middle ← top, other; sizes differ, and zeroes hide data. */
beforeAll(() => {
  mkdirSync(made);
  qemuImg(made, 'create', '-q', '-f', 'raw', 'base.raw', '3M');
  qemuIo(made, 'raw', 'base.raw', 'write -P 1 0 3M');
  qemuImg(made, 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', 'base.raw', 'middle.qcow2', '4M');
  qemuIo(made, 'qcow2', 'middle.qcow2', 'write -P 2 1M 900k', 'write -z 2M 100k', 'write -P 3 3500k 64k');
  qemuImg(made, 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', 'middle.qcow2', 'top.qcow2', '6M');
  qemuIo(made, 'qcow2', 'top.qcow2', 'write -P 4 1500k 300k', 'write -z 64k 64k', 'write -P 5 5M 3k');
  qemuImg(made, 'create', '-q', '-f', 'qcow2', 'other.qcow2', '6M');
  qemuIo(made, 'qcow2', 'other.qcow2', 'write -P 1 0 2M', 'write -P 9 4M 1M');
});

beforeEach(() => {
  for (const place of [ours, theirs]) {
    rmSync(place, { recursive: true, force: true });
    cpSync(made, place, { recursive: true });
  }
});

function real(...words: string[]): { code: number | null; out: string } {
  const done = spawnSync('qemu-img', words, { cwd: theirs, encoding: 'utf8' });
  return { code: done.status, out: done.stdout };
}

function same(...images: string[]): void {
  for (const image of images) {
    const done = spawnSync('qemu-img', ['compare', join(ours, image), join(theirs, image)], {
      encoding: 'utf8',
    });
    expect([image, done.stdout]).toEqual([image, 'Images are identical.\n']);
    if (image.endsWith('.raw')) continue;
    const checked = spawnSync('qemu-img', ['check', '-q', join(ours, image)], { encoding: 'utf8' });
    expect([image, checked.status, checked.stdout]).toEqual([image, 0, '']);
  }
}

function info(place: string, image: string): Record<string, unknown> {
  return JSON.parse(qemuImg(place, 'info', '--output=json', image)) as Record<string, unknown>;
}

/** Bytes that the image holds itself. */
function allocated(place: string, image: string): number {
  const map = JSON.parse(qemuImg(place, 'map', '--output=json', image)) as {
    depth: number;
    length: number;
    present: boolean;
  }[];
  return map.reduce((sum, { depth, length, present }) => sum + (depth === 0 && present ? length : 0), 0);
}

describe('commit', () => {
  it.each([
    [['top.qcow2'], ['top.qcow2', 'middle.qcow2']],
    [['middle.qcow2'], ['middle.qcow2', 'base.raw', 'top.qcow2']],
    [
      ['-d', 'top.qcow2'],
      ['top.qcow2', 'middle.qcow2'],
    ],
    [
      ['-b', 'base.raw', 'top.qcow2'],
      ['base.raw', 'top.qcow2'],
    ],
    [
      ['-q', '-r', '100M', 'top.qcow2'],
      ['top.qcow2', 'middle.qcow2'],
    ],
    [
      ['-b', 'nowhere.raw', 'top.qcow2'],
      ['base.raw', 'middle.qcow2', 'top.qcow2'],
    ],
    [['base.raw', '-f', 'raw'], ['base.raw']],
  ])('%s', async (words, images) => {
    const there = real('commit', ...words);
    const paths = words.map((word, at) =>
      /\.(qcow2|raw)$/.test(word) && words[at - 1] !== '-b' ? join(ours, word) : word,
    );
    const here = await platter(['commit', '--follow', ...paths]);
    expect({ code: here.code, out: here.out }).toEqual(there);
    same(...images);
    for (const image of images.filter((name) => name.endsWith('.qcow2'))) {
      expect([image, allocated(ours, image)]).toEqual([image, allocated(theirs, image)]);
    }
  });

  it('gives the space of an emptied overlay back', async () => {
    qemuIo(ours, 'qcow2', 'top.qcow2', 'write -P 7 0 6M');
    expect((await platter(['commit', '--follow', join(ours, 'top.qcow2')])).code).toBe(0);
    expect(info(ours, 'top.qcow2')['actual-size']).toBeLessThan(300_000);
    qemuIo(ours, 'qcow2', 'top.qcow2', 'write -P 8 1M 64k', 'read -P 7 0 1M');
  });

  it('needs leave to write into a file that the image names', async () => {
    const here = await platter(['commit', join(ours, 'top.qcow2')]);
    expect([here.code, here.out]).toEqual([1, '']);
    expect(here.err).toContain('--follow');
    same('base.raw', 'middle.qcow2', 'top.qcow2');
  });

  it('keeps snapshots and bitmaps of the overlay', async () => {
    for (const place of [ours, theirs]) {
      qemuImg(place, 'snapshot', '-c', 'kept', 'top.qcow2');
      qemuImg(place, 'bitmap', '--add', 'top.qcow2', 'marks');
    }
    expect((await platter(['commit', '--follow', join(ours, 'top.qcow2')])).code).toBe(0);
    expect(real('commit', 'top.qcow2').code).toBe(0);
    same('top.qcow2', 'middle.qcow2');
    expect(qemuImg(ours, 'info', 'top.qcow2')).toContain('name: marks');
    for (const place of [ours, theirs]) {
      qemuImg(place, 'bitmap', '--remove', 'top.qcow2', 'marks');
      qemuImg(place, 'snapshot', '-a', 'kept', 'top.qcow2');
    }
    same('top.qcow2');
  });
});

it('Ctrl-C ends commit, and the overlay shows what it showed', async () => {
  const running = platter(['commit', '--follow', '-r', '1k', join(ours, 'top.qcow2')]);
  await pressControlC();
  const ended = await running;
  expect([ended.code, ended.err]).toEqual([130, expect.stringContaining('interrupted')]);
  same('top.qcow2');
  // Below there is what was taken over so far.
  expect([0, 3]).toContain(spawnSync('qemu-img', ['check', '-q', join(ours, 'middle.qcow2')]).status);
});

it('rebase that is cancelled at its last step leaves the old backing file', async () => {
  const cancelled = new AbortController();
  const rebased = rebaseImage(join(ours, 'top.qcow2'), {
    backing: '',
    gate: allowAll,
    signal: cancelled.signal,
    onProgress: () => cancelled.abort(),
  });
  await expect(rebased).rejects.toMatchObject({ code: 'job.cancelled' });
  same('top.qcow2');
  expect(info(ours, 'top.qcow2')['backing-filename']).toBe('middle.qcow2');
});

describe('rebase', () => {
  it.each([
    [['-b', 'base.raw', '-F', 'raw', 'top.qcow2']],
    [['-b', 'other.qcow2', '-F', 'qcow2', 'top.qcow2']],
    [['-b', 'other.qcow2', '-F', 'qcow2', 'middle.qcow2']],
    [['-b', '', 'top.qcow2']],
    [['-b', '', 'middle.qcow2']],
    [['-b', 'base.raw', '-F', 'raw', 'other.qcow2']],
    [['-u', '-b', 'moved.qcow2', '-F', 'qcow2', 'top.qcow2']],
    [['-u', 'top.qcow2']],
    [['-b', 'other.qcow2', 'top.qcow2']],
    [['-b', 'gone.qcow2', '-F', 'qcow2', 'top.qcow2']],
    [['-b', 'top.qcow2', '-F', 'qcow2', 'top.qcow2']],
  ])('%s', async (words) => {
    const image = words[words.length - 1];
    const there = real('rebase', ...words);
    const here = await platter(['rebase', '--follow', ...words.slice(0, -1), join(ours, image)]);
    expect({ code: here.code, out: here.out }).toEqual(there);
    const names = ['backing-filename', 'backing-filename-format'];
    const [mine, qemus] = [info(ours, image), info(theirs, image)];
    expect(names.map((name) => mine[name])).toEqual(names.map((name) => qemus[name]));
    if (!words.includes('-u')) same(image);
    const before = spawnSync('qemu-img', ['compare', join(ours, image), join(made, image)], {
      encoding: 'utf8',
    });
    if (!words.includes('-u')) expect(before.stdout).toBe('Images are identical.\n');
  });

  it.each(['cluster_size=4k', 'compat=0.10', 'extended_l2=on'])('%s', async (options) => {
    for (const place of [ours, theirs]) {
      const words = [
        '-q',
        '-f',
        'qcow2',
        '-o',
        options,
        '-F',
        'qcow2',
        '-b',
        'middle.qcow2',
        'x.qcow2',
        '6M',
      ];
      qemuImg(place, 'create', ...words);
      qemuIo(place, 'qcow2', 'x.qcow2', 'write -P 4 1499k 3k', 'write -P 5 5001k 3k');
    }
    const words = ['-b', 'other.qcow2', '-F', 'qcow2'];
    expect((await platter(['rebase', '--follow', ...words, join(ours, 'x.qcow2')])).code).toBe(0);
    expect(real('rebase', ...words, 'x.qcow2').code).toBe(0);
    same('x.qcow2');
  });

  it('of a QED', async () => {
    for (const place of [ours, theirs]) {
      qemuImg(place, 'create', '-q', '-f', 'qed', '-F', 'qcow2', '-b', 'middle.qcow2', 'x.qed', '6M');
      qemuIo(place, 'qed', 'x.qed', 'write -P 4 1499k 3k');
    }
    const words = ['-b', 'other.qcow2', '-F', 'qcow2'];
    expect((await platter(['rebase', '--follow', ...words, join(ours, 'x.qed')])).code).toBe(0);
    expect(real('rebase', ...words, 'x.qed').code).toBe(0);
    same('x.qed');
    expect(info(ours, 'x.qed')['backing-filename']).toBe('other.qcow2');
    expect((await platter(['rebase', '--follow', '-b', '', join(ours, 'x.qed')])).code).toBe(0);
    same('x.qed');
    expect(info(ours, 'x.qed')['backing-filename']).toBeUndefined();
  });

  it('refuses a backing file that stands on the overlay', async () => {
    const here = await platter([
      'rebase',
      '--follow',
      '-b',
      'top.qcow2',
      '-F',
      'qcow2',
      join(ours, 'middle.qcow2'),
    ]);
    expect(here.code).toBe(1);
    expect(here.err).toContain('stands on');
    same('middle.qcow2', 'top.qcow2');
  });
});

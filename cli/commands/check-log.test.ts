/** What `check` says of a damaged qcow2 image, and `check -r` does about it: word for word what qemu-img says. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';
import { platterIn } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const at = (name: string): string => join(folder, name);

/** The image's first L2 table, and the first block of counts. */
const l2Of = (bytes: Buffer): number =>
  Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(40))) & 0x00ff_ffff_ffff_fe00n);
const countsOf = (bytes: Buffer): number => Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))));

const CASES: [string, string, (bytes: Buffer) => void][] = [
  ['counts too high', '', (bytes) => void bytes.writeUInt16BE(2, countsOf(bytes) + 2 * 6)],
  ['counts too low', '', (bytes) => void bytes.writeUInt16BE(0, countsOf(bytes) + 2 * 6)],
  ['a shared cluster', '', (bytes) => void bytes.copy(bytes, l2Of(bytes) + 8, l2Of(bytes), l2Of(bytes) + 8)],
  ['a copied flag is missing', '', (bytes) => void bytes.writeUInt8(0, l2Of(bytes))],
  [
    'a preallocated cluster that is not aligned',
    '',
    (bytes) => {
      const entry = l2Of(bytes) + 24;
      bytes.writeBigUInt64BE((bytes.readBigUInt64BE(l2Of(bytes)) + 0x200n) | 1n, entry);
    },
  ],
  [
    'the same with subclusters',
    'extended_l2=on',
    (bytes) => {
      const entry = l2Of(bytes) + 48;
      bytes.writeBigUInt64BE(bytes.readBigUInt64BE(l2Of(bytes)) + 0x200n, entry);
      // Some subclusters read as zeroes, the others show the backing file.
      bytes.writeBigUInt64BE(0x0000_00f0_0000_0000n, entry + 8);
    },
  ],
];

it.each(
  CASES.flatMap(([name, options, damage]) => ['', 'all'].map((what) => ({ name, what, options, damage }))),
)('$name, -r $what', async ({ what, options, damage }) => {
  qemuImg(folder, 'create', '-q', '-f', 'raw', 'base', '1M');
  qemuIo(folder, 'raw', 'base', 'write -P 9 0 1M');
  qemuImg(
    folder,
    'create',
    '-q',
    '-f',
    'qcow2',
    '-F',
    'raw',
    '-b',
    'base',
    ...(options ? ['-o', options] : []),
    'image',
    '1M',
  );
  qemuIo(folder, 'qcow2', 'image', 'write -P 1 0 192k');
  const bytes = readFileSync(at('image'));
  damage(bytes);
  writeFileSync(at('image'), bytes);
  copyFileSync(at('image'), at('theirs'));
  const words = ['check', ...(what === '' ? [] : ['-r', what])];
  const real = spawnSync('qemu-img', [...words, 'theirs'], { cwd: folder, encoding: 'utf8' });
  const here = await platterIn(folder, [...words, 'image']);
  // Where a cluster in use has no count at all, QEMU builds all counts anew; here that one count is raised.
  const anew = real.stderr.includes('Rebuilding refcount structure');
  if (anew)
    expect([here.code, here.err]).toEqual([0, expect.stringContaining('Repairing cluster 6 refcount=0')]);
  else expect([here.code, here.out, here.err]).toEqual([real.status, real.stdout, real.stderr]);
  if (what === 'all') expect(qemuImg(folder, 'compare', 'image', 'theirs')).toContain('identical');
});

it('needs no external data file, which only holds what nobody counts', async () => {
  qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-o', 'data_file=data.raw', 'outside', '1M');
  const clean = await platterIn(folder, ['check', 'outside']);
  expect([clean.code, clean.err]).toEqual([0, '']);
  expect(clean.out).toMatch(/^No errors were found/);
  const info = await platterIn(folder, ['info', 'outside']);
  expect([info.code, info.err]).toEqual([0, '']);
  expect(info.out).toContain('data file: data.raw');
});

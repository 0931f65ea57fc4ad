/** `resize` of every format beside qemu-img: what it can the same way, what it cannot refused by name. */
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';
import { platter } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const at = (name: string): string => join(folder, name);

function real(...words: string[]): number | null {
  return spawnSync('qemu-img', words, { encoding: 'utf8' }).status;
}

function sizeOf(format: string, path: string): number {
  const info = JSON.parse(qemuImg(folder, 'info', '--output=json', '-f', format, path)) as {
    'virtual-size': number;
  };
  return info['virtual-size'];
}

describe.each(['raw', 'qcow2', 'qed'])('%s', (format) => {
  it.each([['9M'], ['+1M'], ['--shrink', '2M'], ['--shrink', '-1M'], ['-1M'], ['2M'], ['8000T']])(
    '%j',
    async (...words) => {
      const [ours, theirs] = [at(`ours.${format}`), at(`theirs.${format}`)];
      qemuImg(folder, 'create', '-q', '-f', format, ours, '6M');
      qemuIo(folder, format, ours, 'write -P 5 1M 5M');
      cpSync(ours, theirs);
      const size = words[words.length - 1];
      const flags = words.slice(0, -1);
      const status = real('resize', '-q', '-f', format, ...flags, theirs, size);
      const done = await platter(['resize', '-f', format, ...flags, ours, size]);
      expect([done.code, done.out]).toEqual([status, status === 0 ? 'Image resized.\n' : '']);
      expect(sizeOf(format, ours)).toBe(sizeOf(format, theirs));
      expect(real('compare', '-f', format, '-F', format, ours, theirs)).toBe(0);
      if (format !== 'raw') expect(real('check', '-q', '-f', format, ours)).toBe(0);
    },
  );
});

it('a shrunk qcow2 gives the end of its file back', async () => {
  const path = at('long.qcow2');
  qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', path, '64M');
  qemuIo(folder, 'qcow2', path, 'write -P 5 0 64M');
  expect((await platter(['resize', '--shrink', path, '1M'])).code).toBe(0);
  expect(statSync(path).size).toBeLessThan(2 << 20);
  expect(real('check', '-q', path)).toBe(0);
  qemuIo(folder, 'qcow2', path, 'read -P 5 0 1M', 'write -P 6 0 1M');
  expect(real('check', '-q', path)).toBe(0);
});

it.each(['falloc', 'full'])('luks takes the space for --preallocation=%s', async (mode) => {
  const path = at('reserved.luks');
  const secret = ['--object', 'secret,id=s,data=secret'];
  qemuImg(folder, 'create', '-q', ...secret, '-f', 'luks', '-o', 'key-secret=s,iter-time=10', path, '6M');
  const done = await platter(['resize', '-f', 'luks', '--preallocation', mode, path, '12M']);
  expect([done.code, done.err]).toEqual([0, '']);
  expect(sizeOf('luks', path)).toBe(12 << 20);
  expect(statSync(path).blocks * 512).toBeGreaterThan(6 << 20);
});

it('luks keeps its contents', async () => {
  const path = at('x.luks');
  const secret = ['--object', 'secret,id=s,data=secret'];
  qemuImg(folder, 'create', '-q', ...secret, '-f', 'luks', '-o', 'key-secret=s,iter-time=10', path, '6M');
  const before = readFileSync(path);
  expect((await platter(['resize', '-f', 'luks', path, '8M'])).code).toBe(0);
  expect(sizeOf('luks', path)).toBe(8 << 20);
  expect(readFileSync(path).subarray(0, before.length).equals(before)).toBe(true);
  expect((await platter(['resize', '-f', 'luks', '--shrink', path, '6M'])).code).toBe(0);
  expect(readFileSync(path).equals(before)).toBe(true);
});

it('a QED whose backing file is longer is refused, as by QEMU', async () => {
  writeFileSync(at('base.raw'), Buffer.alloc(4 << 20, 7));
  const path = at('over.qed');
  qemuImg(folder, 'create', '-q', '-f', 'qed', '-F', 'raw', '-b', 'base.raw', path, '2M');
  expect(real('resize', '-q', '-f', 'qed', path, '3M')).toBe(1);
  const ours = await platter(['resize', '--follow', path, '3M']);
  expect([ours.code, sizeOf('qed', path)]).toEqual([1, 2 << 20]);
  expect(ours.err).toContain('backing file');
});

it.each([
  ['vmdk', 'subformat=streamOptimized', 'vmdk (streamOptimized)'],
  ['vpc', 'subformat=fixed', 'vpc (fixed)'],
  ['parallels', 'cluster_size=1M', 'parallels'],
])('%s with %s keeps its size, and says so', async (format, options, kind) => {
  const path = at(`x.${format}`);
  qemuImg(folder, 'create', '-q', '-f', format, '-o', options, path, '6M');
  const before = readFileSync(path);
  const ours = await platter(['resize', path, '16M']);
  expect([ours.code, real('resize', '-q', '-f', format, path, '16M')]).toEqual([1, 1]);
  expect(ours.err).toContain(`The disk of a ${kind} image`);
  expect(readFileSync(path).equals(before)).toBe(true);
});

it.each(['vdi', 'vmdk', 'vhdx', 'vpc'])('%s becomes larger, where qemu-img refuses it', async (format) => {
  const path = at(`larger.${format}`);
  qemuImg(folder, 'create', '-q', '-f', format, path, '6M');
  expect(real('resize', '-q', '-f', format, path, '16M')).toBe(1);
  const ours = await platter(['resize', path, '16M']);
  expect([ours.code, ours.out, ours.err]).toEqual([0, 'Image resized.\n', '']);
  expect(sizeOf(format, path)).toBeGreaterThanOrEqual(16 << 20);
});

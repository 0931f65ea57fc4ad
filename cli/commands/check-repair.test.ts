/** `check -r` of the other formats beside qemu-img: the same words, exit codes and disks. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';
import { platter } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const at = (name: string): string => join(folder, name);

/** An image with two stretches of data, damaged. */
function damaged(format: string, damage: (bytes: Buffer) => Buffer | undefined): string {
  const path = at(`damaged.${format}`);
  qemuImg(folder, 'create', '-q', '-f', format, path, '16M');
  qemuIo(folder, format, path, 'write -P 1 0 1M', 'write -P 2 8M 200k');
  const bytes = readFileSync(path);
  writeFileSync(path, damage(bytes) ?? bytes);
  return path;
}

/** Entry `index` of the block allocation table of a Parallels image leads far away. */
function astray(bytes: Buffer, index: number): undefined {
  bytes.writeUInt32LE(0x0fff_0000, 64 + index * 4);
}

const CASES: [string, string, string, (bytes: Buffer) => Buffer | undefined][] = [
  ['parallels', 'all', 'nothing wrong', () => undefined],
  ['parallels', 'all', 'an entry outside', (bytes) => astray(bytes, 9)],
  ['parallels', 'leaks', 'an entry outside', (bytes) => astray(bytes, 9)],
  ['parallels', 'all', 'not closed', (bytes) => void bytes.writeUInt32LE(0x746f_6e59, 44)],
  ['parallels', 'leaks', 'a tail', (bytes) => Buffer.concat([bytes, Buffer.alloc(3 << 20)])],
  ['parallels', 'all', 'a tail', (bytes) => Buffer.concat([bytes, Buffer.alloc(3 << 20)])],
  ['qed', 'all', 'nothing wrong', () => undefined],
  ['qed', 'all', 'not closed', (bytes) => void bytes.writeUInt8(2, 16)],
  [
    'qed',
    'all',
    'an entry outside',
    (bytes) => void bytes.writeBigUInt64LE(1n << 40n, Number(bytes.readBigUInt64LE(65536)) + 24),
  ],
  ['qed', 'leaks', 'a tail', (bytes) => Buffer.concat([bytes, Buffer.alloc(3 << 20)])],
  ['vhdx', 'all', 'nothing wrong', () => undefined],
];

describe.each(CASES)('%s, -r %s', (format, what, _name, damage) => {
  it(_name, async () => {
    const path = damaged(format, damage);
    const [ours, theirs] = [at(`ours.${format}`), at(`theirs.${format}`)];
    copyFileSync(path, ours);
    copyFileSync(path, theirs);
    const real = spawnSync('qemu-img', ['check', '-f', format, '-r', what, theirs], { encoding: 'utf8' });
    const here = await platter(['check', '-f', format, '-r', what, ours]);
    expect({ code: here.code, out: here.out }).toEqual({ code: real.status, out: real.stdout });
    const same = spawnSync('qemu-img', ['compare', '-f', format, '-F', format, ours, theirs], {
      encoding: 'utf8',
    });
    expect(same.stdout).toBe('Images are identical.\n');
    const [left, right] = [ours, theirs].map(
      (image) =>
        spawnSync('qemu-img', ['check', '-f', format, '--output=json', image], { encoding: 'utf8' }).stdout,
    );
    expect(left.replaceAll(ours, '')).toBe(right.replaceAll(theirs, ''));
  });
});

it.each(['vdi', 'raw'])('%s has nothing to repair', async (format) => {
  const path = damaged(format, () => undefined);
  const real = spawnSync('qemu-img', ['check', '-f', format, '-r', 'all', path], { encoding: 'utf8' });
  expect((await platter(['check', '-f', format, '-r', 'all', path])).code).toBe(real.status);
});

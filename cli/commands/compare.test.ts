import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';
import { platter } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);

beforeAll(() => {
  const make = (name: string, size: string, ...commands: string[]): void => {
    const format = name.endsWith('.raw') ? 'raw' : 'qcow2';
    qemuImg(folder, 'create', '-q', '-f', format, name, size);
    if (commands.length > 0) qemuIo(folder, format, name, ...commands);
  };
  make('a.qcow2', '16M', 'write -P 1 1M 200k', 'write -P 2 8M 3000');
  make('same.raw', '16M', 'write -P 1 1M 200k', 'write -P 2 8M 3000');
  make('other.qcow2', '16M', 'write -P 1 1M 200k', 'write -P 2 8M 2999');
  make('longer.qcow2', '20M', 'write -P 1 1M 200k', 'write -P 2 8M 3000');
  make('longer-data.qcow2', '20M', 'write -P 1 1M 200k', 'write -P 2 8M 3000', 'write -P 9 18M 1');
  make('zeroes.qcow2', '16M', 'write -P 1 1M 200k', 'write -P 2 8M 3000', 'write -P 0 4M 64k');
});

const pairs = [
  ['a.qcow2', 'a.qcow2'],
  ['a.qcow2', 'same.raw'],
  ['a.qcow2', 'other.qcow2'],
  ['other.qcow2', 'a.qcow2'],
  ['a.qcow2', 'longer.qcow2'],
  ['longer.qcow2', 'a.qcow2'],
  ['a.qcow2', 'longer-data.qcow2'],
  ['a.qcow2', 'zeroes.qcow2'],
  ['-s', 'a.qcow2', 'a.qcow2'],
  ['-s', 'a.qcow2', 'longer.qcow2'],
  ['-s', 'a.qcow2', 'zeroes.qcow2'],
  ['-q', 'a.qcow2', 'other.qcow2'],
  ['a.qcow2', 'missing.qcow2'],
];

it.each(pairs)('answers as qemu-img compare %s %s %s', async (...words) => {
  const real = spawnSync('qemu-img', ['compare', ...words], { cwd: folder, encoding: 'utf8' });
  const ran = await platter([
    'compare',
    ...words.map((word) => (word.startsWith('-') ? word : join(folder, word))),
  ]);
  expect(ran.code).toBe(real.status);
  expect(ran.out).toBe(real.stdout);
});

/** What is particular to a format, nested as `qemu-img info` nests it: text and JSON, byte for byte. */
import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { qemuImg, workFolder } from '../testing/qemu-img.ts';
import { platter } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
const home = process.cwd();
afterAll(() => {
  process.chdir(home);
  remove();
});

const SECRET = ['--object', 'secret,id=s0,data=x'];
const IMAGES: [name: string, format: string, options: string[]][] = [
  ['sub/sparse.vmdk', 'vmdk', []],
  ['sub/flat.vmdk', 'vmdk', ['-o', 'subformat=monolithicFlat']],
  ['sub/stream.vmdk', 'vmdk', ['-o', 'subformat=streamOptimized']],
  ['sub/split.vmdk', 'vmdk', ['-o', 'subformat=twoGbMaxExtentSparse']],
  ['disk.luks', 'luks', [...SECRET, '-o', 'key-secret=s0,iter-time=10']],
  [
    'crypt.qcow2',
    'qcow2',
    [...SECRET, '-o', 'encrypt.format=luks,encrypt.key-secret=s0,encrypt.iter-time=10'],
  ],
];

beforeAll(() => {
  process.chdir(folder);
  mkdirSync('sub');
  for (const [name, format, options] of IMAGES) {
    const size = name.includes('split') ? '5G' : '10M';
    qemuImg(folder, 'create', '-q', '-f', format, ...options, name, size);
  }
});

it.each(IMAGES)('%s', async (name) => {
  // Files that an image names are opened only when that is asked for.
  const parts = /flat|split/.test(name);
  for (const output of [[], ['--output=json']]) {
    const theirs = qemuImg(folder, 'info', ...output, ...(parts ? ['--backing-chain'] : []), name);
    expect((await platter(['info', ...output, ...(parts ? ['--backing-chain'] : []), name])).out).toBe(
      theirs,
    );
  }
});

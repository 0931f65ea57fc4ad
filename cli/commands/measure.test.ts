/** `platter measure` beside `qemu-img measure`: the same numbers. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';
import { platter } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
const home = process.cwd();
afterAll(() => {
  process.chdir(home);
  remove();
});

beforeAll(() => {
  process.chdir(folder);
  qemuImg(folder, 'create', '-q', '-f', 'qcow2', 'a.qcow2', '300M');
  qemuIo(folder, 'qcow2', 'a.qcow2', 'write 100k 5M', 'write -z 50M 1M', 'write 299M 100k');
  qemuImg(folder, 'snapshot', '-c', 's1', 'a.qcow2');
  qemuIo(folder, 'qcow2', 'a.qcow2', 'write 200M 20M');
  qemuImg(folder, 'bitmap', '--add', 'a.qcow2', 'b0');
  qemuImg(folder, 'bitmap', '--add', '-g', '512', 'a.qcow2', 'another bitmap');
  qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-b', 'a.qcow2', '-F', 'qcow2', 'top.qcow2');
  qemuIo(folder, 'qcow2', 'top.qcow2', 'write 150M 3M');
  qemuImg(folder, 'convert', '-O', 'vdi', 'a.qcow2', 'a.vdi');
});

const SECRET = ['--object', 'secret,id=s0,data=x'];

it.each([
  ['--size', '10M', '-O', 'raw'],
  ['--size', '1000', '-O', 'raw'],
  ['--size', '10M', '-O', 'qcow2'],
  ['--size', '5T', '-O', 'qcow2', '-o', 'cluster_size=2M'],
  ['--size', '3G', '-O', 'qcow2', '-o', 'cluster_size=512,refcount_bits=64'],
  ['--size', '3G', '-O', 'qcow2', '-o', 'extended_l2=on'],
  ['--size', '100M', '-O', 'qcow2', '-o', 'preallocation=full'],
  ['--size', '100M', '-O', 'qcow2', '-o', 'preallocation=metadata,compat=0.10'],
  [...SECRET, '--size', '100M', '-O', 'qcow2', '-o', 'encrypt.format=luks,encrypt.key-secret=s0'],
  [...SECRET, '--size', '100M', '-O', 'luks', '-o', 'key-secret=s0,cipher-alg=aes-128'],
  ['-O', 'raw', 'a.qcow2'],
  ['-O', 'qcow2', 'a.qcow2'],
  ['-O', 'qcow2', '-o', 'cluster_size=4k', 'a.qcow2'],
  ['-O', 'qcow2', '-o', 'backing_file=b,backing_fmt=raw', 'a.qcow2'],
  ['-O', 'qcow2', '-l', 's1', 'a.qcow2'],
  ['-O', 'qcow2', '-o', 'compat=0.10', 'a.qcow2'],
  ['-O', 'qcow2', 'a.vdi'],
  ['-O', 'qcow2', 'top.qcow2'],
])(
  '%j %j %j %j %j %j',
  async (...given) => {
    const words = given.filter((word) => word !== undefined);
    for (const output of [[], ['--output=json']]) {
      const theirs = qemuImg(folder, 'measure', ...output, ...words);
      expect(await platter(['measure', '--follow', ...output, ...words])).toEqual({
        code: 0,
        out: theirs,
        err: '',
      });
    }
    // qemu-img measures LUKS by making a header, which takes seconds of its own whatever `iter-time` says.
  },
  120_000,
);

it.each([
  [['--size', '1M', 'a.qcow2'], 'either'],
  [[], 'either'],
  [['-f', 'qcow2', '--size', '1M'], 'IMAGE'],
  [['--size', '1M', '-O', 'vmdk'], 'cannot be told'],
  [['--size', '1M', '-O', 'luks'], 'passphrase'],
])('refuses %j', async (words, says) => {
  const ran = await platter(['measure', ...words]);
  expect(ran.code).not.toBe(0);
  expect(ran.err).toContain(says);
});

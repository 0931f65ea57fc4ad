/** `platter create` beside `qemu-img create`: the same line, the same image. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { qemuImg, workFolder } from '../testing/qemu-img.ts';
import { platter } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const home = process.cwd();
const at = (name: string): string => join(folder, name);

beforeAll(() => {
  for (const side of ['ours', 'theirs']) {
    mkdirSync(at(side));
    qemuImg(at(side), 'create', '-q', '-f', 'qcow2', 'base.qcow2', '20M');
    qemuImg(at(side), 'create', '-q', '-f', 'vmdk', 'base.vmdk', '20M');
  }
});
afterAll(() => process.chdir(home));

/** What differs from one image to the next by nature. */
const RANDOM = /"(cid|parent-cid|uuid|actual-size|iters|master-key-iters)": .*|"path".*/g;

function info(side: string, name: string): string {
  const text = qemuImg(at(side), 'info', '--output=json', name);
  return text.replace(RANDOM, '');
}

const SECRET = ['--object', 'secret,id=s0,data=open sesame'];
const CASES: [format: string, words: string[], size: string[]][] = [
  ['raw', [], ['10M']],
  ['raw', ['-o', 'preallocation=full'], ['1M']],
  ['qcow2', [], ['1G']],
  ['qcow2', ['-o', 'cluster_size=4k,lazy_refcounts=on,refcount_bits=1'], ['1000']],
  ['qcow2', ['-o', 'compat=0.10'], ['100M']],
  ['qcow2', ['-o', 'extended_l2=on,compression_type=zstd'], ['64M']],
  ['qcow2', ['-o', 'preallocation=metadata'], ['64M']],
  ['qcow2', ['-o', 'preallocation=metadata,extended_l2=on,cluster_size=128k'], ['64M']],
  ['qcow2', ['-o', 'preallocation=full,cluster_size=512'], ['3M']],
  ['qcow2', ['-o', 'data_file=data.raw,data_file_raw=on'], ['8M']],
  ['qcow2', ['-b', 'base.qcow2', '-F', 'qcow2'], []],
  ['qcow2', ['-b', 'base.qcow2', '-F', 'qcow2', '-u'], ['30M']],
  ['qcow2', ['-u', '-b', 'not,there', '-F', 'raw'], ['30M']],
  ['qcow2', ['-o', 'backing_file=base.qcow2,backing_fmt=qcow2'], ['64M']],
  ['qed', ['-o', 'cluster_size=4096'], ['5M']],
  ['qed', ['-b', 'base.qcow2', '-F', 'qcow2'], []],
  ['vmdk', [], ['10M']],
  ['vmdk', ['-o', 'subformat=monolithicFlat,adapter_type=lsilogic'], ['10M']],
  ['vmdk', ['-o', 'subformat=streamOptimized,compat6=on'], ['10M']],
  ['vmdk', ['-b', 'base.vmdk', '-F', 'vmdk'], []],
  ['vdi', ['-o', 'static=on'], ['3M']],
  ['vpc', ['-o', 'subformat=fixed,force_size=on'], ['3M']],
  ['vpc', [], ['100M']],
  ['vhdx', ['-o', 'block_size=2M,log_size=2M'], ['10M']],
  ['parallels', ['-o', 'cluster_size=65536'], ['10M']],
  ['luks', [...SECRET, '-o', 'key-secret=s0,iter-time=10,cipher-alg=aes-128'], ['2M']],
];

it.each(CASES)(
  '%s %j %j',
  async (format, words, size) => {
    const name = `${format}-${CASES.findIndex((one) => one[1] === words)}`;
    const command = ['create', '-f', format, ...words, name, ...size];
    process.chdir(at('theirs'));
    const theirs = qemuImg(at('theirs'), ...command);
    process.chdir(at('ours'));
    const ours = await platter(command);
    expect(ours).toEqual({ code: 0, out: theirs, err: '' });
    if (!words.includes('not,there')) expect(info('ours', name)).toBe(info('theirs', name));
    if (format === 'qcow2' && !words.includes('not,there'))
      expect(qemuImg(at('ours'), 'check', name)).toContain('No errors were found');
    if (words.join().includes('preallocation')) {
      const map = (side: string): string => qemuImg(at(side), 'map', '--output=json', '-f', format, name);
      const mapped = (text: string): unknown => [
        ...new Set((JSON.parse(text) as { present: boolean }[]).map(({ present }) => present)),
      ];
      expect(mapped(map('ours'))).toEqual(mapped(map('theirs')));
    }
  },
  20_000,
);

it('says nothing with -q, lists options with -o help, and takes sizes as qemu-img does', async () => {
  process.chdir(at('ours'));
  expect((await platter(['create', '-q', 'q.raw', '1.5M'])).out).toBe('');
  expect(readFileSync('q.raw').length).toBe(1536 * 1024);
  const names = (text: string): string[] => [...text.matchAll(/^ {2}([\w.-]+)=/gm)].map((found) => found[1]);
  for (const format of ['qcow2', 'vmdk', 'vhdx', 'qed']) {
    const ours = names((await platter(['create', '-f', format, '-o', 'help'])).out);
    const theirs = names(qemuImg(folder, 'create', '-f', format, '-o', 'help'));
    // Encryption with plain AES is refused by name.
    expect(ours).toEqual(theirs.filter((name) => name !== 'encryption'));
  }
});

it('refuses in words, and leaves what was there', async () => {
  process.chdir(at('ours'));
  writeFileSync('old', 'old');
  const say = async (...words: string[]): Promise<string> => {
    const ran = await platter(['create', ...words]);
    expect(ran.code).not.toBe(0);
    return ran.err;
  };
  expect(await say('-f', 'qcow2', 'old')).toContain('size');
  expect(await say('-f', 'qcow2', '-b', 'base.qcow2', 'old')).toContain('looks like qcow2');
  expect(await say('-f', 'qcow2', '-b', 'gone.qcow2', '-F', 'qcow2', 'old')).toContain('gone.qcow2');
  expect(await say('-f', 'qcow2', '-o', 'cluster_size=12', 'old', '1M')).toContain('cluster_size');
  expect(await say('-f', 'qcow2', '-o', 'no_such=1', 'old', '1M')).toContain('no_such');
  expect(await say('-f', 'vdi', '-b', 'base.qcow2', 'old', '1M')).toContain('backing');
  expect(await say('-f', 'dmg', 'old', '1M')).toContain('cannot be written');
  expect(await say('-f', 'luks', '-o', 'key-secret=s0', 'old', '1M')).toContain('s0');
  expect(await say('-f', 'qcow2', 'old', '5MM')).toContain('5MM');
  expect(readFileSync('old', 'utf8')).toBe('old');
});

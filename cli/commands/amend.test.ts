/** `platter amend` beside `qemu-img amend`: the same image after it, sound, with the same contents. */
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';
import { platter } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const at = (name: string): string => join(folder, name);
const amend = (...words: string[]): ReturnType<typeof platter> => platter(['amend', ...words]);
const DONE = { code: 0, out: '', err: '' };
const create = (name: string, options: string, ...more: string[]): string =>
  qemuImg(
    folder,
    'create',
    '-q',
    '-f',
    'qcow2',
    ...(options === '' ? [] : ['-o', options]),
    ...more,
    name,
    '20M',
  );

beforeAll(() => {
  create('base.qcow2', '');
  qemuIo(folder, 'qcow2', 'base.qcow2', 'write -P 9 0 5M');
});

/** What `info` says, without what differs by nature. */
function info(name: string): unknown {
  const told = JSON.parse(qemuImg(folder, 'info', '--output=json', name));
  delete told['actual-size'];
  delete told.filename;
  return told;
}

const FILL = [
  'write -P 1 0 1M',
  'write -z 2M 1M',
  'write -P 2 3M 100k',
  'write -P 7 6M 1M',
  'write -z 6M 512k',
];

describe('qcow2', () => {
  // From the narrowest counts QEMU itself takes many seconds: it looks at every count that a block has room for.
  it.each([
    ['compat=0.10', 'compat=1.1', false],
    ['compat=0.10', 'compat=1.1', true],
    ['compat=0.10', 'compat=v3,lazy_refcounts=on,refcount_bits=8', false],
    ['', 'lazy_refcounts=on', true],
    ['lazy_refcounts=on', 'lazy_refcounts=off', false],
    ['', 'refcount_bits=64', true],
    ['cluster_size=4k', 'refcount_bits=2', true],
    ['cluster_size=512', 'refcount_bits=64', false],
    ['', 'compat=0.10', false],
    ['lazy_refcounts=on,cluster_size=4k', 'compat=0.10', false],
    ['refcount_bits=8', 'refcount_bits=16,compat=0.10', false],
    ['compression_type=zstd', 'compat=0.10', false],
    ['', 'size=40M', false],
    ['', 'compat=1.1', true],
  ])('made with %j, amended %j, snapshot %s', async (made, options, snapshot) => {
    create('ours.qcow2', made);
    qemuIo(
      folder,
      'qcow2',
      'ours.qcow2',
      ...FILL.filter((command) => !made.includes('0.10') || !command.includes('-z')),
    );
    if (snapshot) qemuImg(folder, 'snapshot', '-c', 's1', 'ours.qcow2');
    if (snapshot) qemuIo(folder, 'qcow2', 'ours.qcow2', 'write -P 5 512k 1M');
    copyFileSync(at('ours.qcow2'), at('theirs.qcow2'));
    qemuImg(folder, 'convert', '-O', 'raw', 'ours.qcow2', 'before.raw');
    expect(await amend('-o', options, at('ours.qcow2'))).toEqual(DONE);
    qemuImg(folder, 'amend', '-o', options, 'theirs.qcow2');
    expect(info('ours.qcow2')).toEqual(info('theirs.qcow2'));
    expect(qemuImg(folder, 'check', 'ours.qcow2')).toContain('No errors were found');
    if (!options.includes('size'))
      expect(qemuImg(folder, 'compare', 'ours.qcow2', 'before.raw')).toContain('identical');
    if (snapshot) {
      qemuImg(folder, 'snapshot', '-a', 's1', 'ours.qcow2');
      qemuImg(folder, 'snapshot', '-a', 's1', 'theirs.qcow2');
      expect(qemuImg(folder, 'compare', 'ours.qcow2', 'theirs.qcow2')).toContain('identical');
    }
  });

  it('zeroes over a backing file stay zeroes in version 2', async () => {
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', 'top.qcow2');
    qemuIo(folder, 'qcow2', 'top.qcow2', 'write -z 1M 1M', 'write -P 3 4M 64k');
    qemuImg(folder, 'convert', '-O', 'raw', 'top.qcow2', 'before.raw');
    expect(await amend('--follow', '-o', 'compat=0.10', at('top.qcow2'))).toEqual(DONE);
    expect(qemuImg(folder, 'compare', 'top.qcow2', 'before.raw')).toContain('identical');
    expect(qemuImg(folder, 'check', 'top.qcow2')).toContain('No errors were found');
    expect(qemuImg(folder, 'info', 'top.qcow2')).toContain('compat: 0.10');
  });

  it('refuses what cannot be, as qemu-img does', async () => {
    create('no.qcow2', 'refcount_bits=8');
    qemuImg(folder, 'bitmap', '--add', 'no.qcow2', 'b0');
    const before = info('no.qcow2');
    for (const [options, says] of [
      ['compat=0.10', '16 bits'],
      ['compat=0.10,refcount_bits=16,lazy_refcounts=on', 'lazy'],
      ['compat=0.10,refcount_bits=16', 'bitmaps'],
      ['data_file=x', 'no external data file'],
      ['backing_file=x', 'rebase'],
      ['cluster_size=4k', "no 'cluster_size'"],
      ['encrypt.state=inactive,encrypt.keyslot=0', 'not encrypted'],
    ]) {
      const ran = await amend('-o', options, at('no.qcow2'));
      expect([ran.code === 0, ran.out]).toEqual([false, '']);
      expect(ran.err).toContain(says);
    }
    if (JSON.stringify(info('no.qcow2')) !== JSON.stringify(before))
      await amend('-o', 'refcount_bits=8', at('no.qcow2'));
    expect(info('no.qcow2')).toEqual(before);
    expect((await amend('-o', 'static=on', '-f', 'raw', at('no.qcow2'))).code).not.toBe(0);
    expect((await amend(at('no.qcow2'))).err).toContain('-o');
  });
});

describe('key slots', () => {
  const objects = ['--object', 'secret,id=a,data=first', '--object', 'secret,id=b,data=second'];
  /** Whether qemu-img opens it. */
  function opens(opts: string, id: string): boolean {
    try {
      qemuImg(folder, 'convert', ...objects, '--image-opts', `${opts}=${id}`, '-O', 'raw', 'opened.raw');
      return true;
    } catch {
      return false;
    }
  }

  it.each([
    ['luks', 'key-secret=a,iter-time=10', '', `driver=luks,file.filename=keys,key-secret`],
    [
      'qcow2',
      'encrypt.format=luks,encrypt.key-secret=a,encrypt.iter-time=10',
      'encrypt.',
      'driver=qcow2,file.filename=keys,encrypt.format=luks,encrypt.key-secret',
    ],
  ])(
    'of %s',
    async (format, options, prefix, opts) => {
      qemuImg(folder, 'create', '-q', '-f', format, ...objects, '-o', options, 'keys', '1M');
      const change = (text: string): string => text.replace(/(^|,)(?=[a-z])/g, `$1${prefix}`);
      const run = (...words: string[]): ReturnType<typeof amend> =>
        amend('-f', format, ...objects, '-o', ...words, at('keys'));
      expect(await run(change('state=active,new-secret=b,iter-time=10'))).toEqual(DONE);
      expect([opens(opts, 'a'), opens(opts, 'b')]).toEqual([true, true]);
      expect(await run(change('state=inactive,old-secret=a'))).toEqual(DONE);
      expect([opens(opts, 'a'), opens(opts, 'b')]).toEqual([false, true]);
      const last = await run(change('state=inactive,keyslot=1'));
      expect(last.err).toContain('last key slot');
      expect(opens(opts, 'b')).toBe(true);
      expect((await run(change('state=inactive,keyslot=5'))).err).toContain('is empty');
      expect((await run(change('state=active,new-secret=a,keyslot=9'))).err).toContain('no key slot 9');
      expect((await run(change('state=active,new-secret=a,old-secret=a'))).code).toBe(1);
    },
    30_000,
  );
});

it('opens the image with the secret that it was named with, whichever stands first', async () => {
  const secrets = ['first', 'second', 'third'].flatMap((id) => ['--object', `secret,id=${id},data=${id}`]);
  const made = ['create', '-q', '-f', 'qcow2', ...secrets];
  const encrypted = 'encrypt.format=luks,encrypt.key-secret=second,encrypt.iter-time=10';
  expect(await platter([...made, '-o', encrypted, at('keys.qcow2'), '1M'])).toEqual(DONE);
  const image = `driver=qcow2,file.filename=${at('keys.qcow2')},encrypt.key-secret=second`;
  const added = 'encrypt.state=active,encrypt.new-secret=third,encrypt.iter-time=10';
  expect(await amend(...secrets, '--image-opts', image, '-o', added)).toEqual(DONE);
  const opened = image.replace('=second', '=third');
  const read = ['-c', 'read -P 0 0 1M', '--image-opts', opened];
  expect(
    execFileSync('qemu-io', ['--object', 'secret,id=third,data=third', ...read], { encoding: 'utf8' }),
  ).toContain('read 1048576/1048576');
});

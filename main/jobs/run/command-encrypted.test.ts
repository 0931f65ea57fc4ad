/** Jobs on encrypted images, and the commands that are shown for them: QEMU judges both. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { openImage } from '#engine/block/graph.ts';
import { readBitmap } from '#engine/block/jobs/bitmap.ts';
import type { JobSecrets } from '#contract/secrets.ts';
import {
  at,
  folderForEach,
  IMAGE,
  OTHER,
  PASS,
  qemu,
  request,
  run,
  same,
  sample,
  shown,
  TARGET,
} from './testing/command-bench.ts';

folderForEach();

describe('encrypted images', { timeout: 120_000 }, () => {
  const NEW = 'another one';
  const secrets = ['passphrase', 'new-passphrase', 'erased-passphrase'];
  beforeEach(() => {
    writeFileSync(at('passphrase.txt'), PASS);
    writeFileSync(at('new-passphrase.txt'), NEW);
    writeFileSync(at('erased-passphrase.txt'), PASS);
  });
  const objects = secrets.flatMap((name) => ['--object', `secret,id=${name},file=${name}.txt`]);
  const LUKS = ['luks', 'key-secret=passphrase,iter-time=10'];
  const QCOW2 = ['qcow2', 'encrypt.format=luks,encrypt.key-secret=passphrase,encrypt.iter-time=10'];
  const opts = (path: string, format: string, secret: string): string =>
    `driver=${format},file.filename=${path},` +
    (format === 'luks' ? `key-secret=${secret}` : `encrypt.format=luks,encrypt.key-secret=${secret}`);

  function encrypted(name: string, [format, options]: string[]): string {
    qemu('create', '-q', '-f', format, ...objects, '-o', options, name, '8M');
    const image = opts(at(name), format, 'passphrase');
    io(image, 'write -P 7 1M 1M', 'write -P 9 6M 64k');
    return at(name);
  }
  const io = (image: string, ...commands: string[]): string => {
    const words = [...objects, '--image-opts', image, ...commands.flatMap((one) => ['-c', one])];
    return execFileSync('qemu-io', words, { cwd: at('.'), encoding: 'utf8', stdio: 'pipe' });
  };
  const opens = (path: string, format: string, secret: string): boolean => {
    try {
      return !io(opts(path, format, secret), 'read -P 7 1M 1M').includes('failed');
    } catch {
      return false;
    }
  };

  it.each([LUKS])('as sources: %s', async (...kind) => {
    const image = encrypted('source', kind);
    const convertIt = request({ kind: 'convert', image: IMAGE, target: TARGET, format: 'raw' });
    await run(convertIt, { [IMAGE]: image, [TARGET]: at('ours') });
    shown(convertIt, { [IMAGE]: image, [TARGET]: at('theirs') });
    expect(same('ours', 'theirs')).toContain('identical');
    const files = { [IMAGE]: image, [OTHER]: at('ours'), [TARGET]: at('part') };
    const compare = request({ kind: 'compare', image: IMAGE, other: OTHER });
    expect(shown(compare, files)).toContain('identical');
    expect(await run(compare, files)).toMatchObject({ verdict: 'identical' });
    for (const job of [
      { kind: 'measure', image: IMAGE, format: 'qcow2' },
      { kind: 'copy', image: IMAGE, target: TARGET, format: 'raw', bs: 2 ** 20, count: 2 },
      { kind: 'resize', image: IMAGE, size: 12 * 2 ** 20 },
    ]) {
      await run(request(job), files);
      rmSync(files[TARGET], { force: true });
      shown(request(job), files);
    }
    expect(opens(image, kind[0], 'passphrase')).toBe(true);
  });

  it('an encrypted image below another one', async () => {
    const image = encrypted('base.luks', LUKS);
    qemu('create', '-q', '-f', 'qcow2', '-u', '-b', 'base.luks', '-F', 'luks', 'top.qcow2', '8M');
    const job = request({ kind: 'checksum', image: IMAGE, algorithm: 'sha256' });
    const sum = shown(job, { [IMAGE]: at('top.qcow2') }).split(' ')[0];
    expect(await run(job, { [IMAGE]: at('top.qcow2') })).toMatchObject({ digest: sum });
    expect(await run(job, { [IMAGE]: image })).toMatchObject({ digest: sum });
  });

  it.each<[from: string, into: string]>([
    ['locked', 'plain'],
    ['locked', 'other'],
  ])('bits of a bitmap in %s for one in %s', async (from, into) => {
    writeFileSync(at('passphrase-2.txt'), PASS);
    const image = (name: string): string => {
      if (name === 'locked' || name === 'other') {
        encrypted(name, QCOW2);
        return opts(at(name), 'qcow2', 'passphrase');
      }
      qemu('create', '-q', '-f', 'qcow2', name, '8M');
      return `driver=qcow2,file.filename=${at(name)}`;
    };
    const [source, target] = [image(from), image(into)];
    const add = ['bitmap', ...objects, '--image-opts', '--add', '-g', '64k'];
    qemu(...add, source, 'written');
    qemu(...add, target, 'all');
    io(source, 'write 2M 100k');
    copyFileSync(at(into), at('theirs'));
    const job = request({
      kind: 'bitmap',
      image: IMAGE,
      action: 'merge',
      name: 'all',
      source: OTHER,
      from: 'written',
    });
    await run(job, { [IMAGE]: at(into), [OTHER]: at(from) });
    shown(job, { [IMAGE]: at('theirs'), [OTHER]: at(from) });
    const bits = async (name: string): Promise<unknown> => {
      const { node } = await openImage(at(name), { backing: 'skip' });
      const read = await readBitmap(node, 'all');
      await node.close();
      return read;
    };
    expect(await bits(into)).toEqual(await bits('theirs'));
    expect(await bits(into)).toMatchObject({
      bits: Uint8Array.from({ length: 16 }, (_, at) => (at === 4 ? 3 : 0)),
    });
  });

  it('an overlay of an encrypted image, which is opened alone', async () => {
    encrypted('base.luks', LUKS);
    for (const name of ['ours', 'theirs'])
      qemu('create', '-q', '-f', 'qcow2', '-u', '-b', 'base.luks', '-F', 'luks', name, '8M');
    copyFileSync(at('base.luks'), at('moved.luks'));
    const job = request({
      kind: 'rebase',
      image: IMAGE,
      backing: OTHER,
      backingFormat: 'luks',
      unsafe: true,
    });
    await run(job, { [IMAGE]: at('ours'), [OTHER]: at('moved.luks') });
    shown(job, { [IMAGE]: at('theirs'), [OTHER]: at('moved.luks') });
    for (const name of ['ours', 'theirs']) expect(qemu('info', name)).toContain('backing file: moved.luks');
  });

  it('an overlay that comes to rest on an encrypted image, then on another one', async () => {
    encrypted('one.luks', LUKS);
    copyFileSync(at('one.luks'), at('two.luks'));
    sample('plain.qcow2');
    for (const name of ['ours', 'theirs'])
      qemu('create', '-q', '-f', 'qcow2', '-b', 'plain.qcow2', '-F', 'qcow2', name, '8M');
    for (const backing of ['one.luks', 'two.luks']) {
      const job = request({ kind: 'rebase', image: IMAGE, backing: OTHER, backingFormat: 'luks' });
      await run(job, { [IMAGE]: at('ours'), [OTHER]: at(backing) });
      shown(job, { [IMAGE]: at('theirs'), [OTHER]: at(backing) });
      for (const name of ['ours', 'theirs'])
        expect(qemu('info', name)).toContain(`backing file: ${backing}\n`);
    }
    const over = (name: string): string =>
      `driver=qcow2,file.filename=${at(name)},backing.driver=luks,backing.key-secret=passphrase,backing.file.filename=${at('two.luks')}`;
    for (const name of ['ours', 'theirs'])
      expect(
        qemu(
          'compare',
          ...objects,
          '--image-opts',
          over(name),
          `driver=qcow2,file.filename=${at('plain.qcow2')}`,
        ),
      ).toContain('identical');
  });

  it.each([
    { format: 'luks', options: { 'cipher-alg': 'aes-128', 'hash-alg': 'sha512', 'iter-time': 10 } },
    {
      format: 'qcow2',
      options: {
        'encrypt.format': 'luks',
        'encrypt.cipher-mode': 'cbc',
        'encrypt.ivgen-alg': 'essiv',
        'encrypt.iter-time': 10,
      },
    },
  ])('as targets: %o', async (more) => {
    const image = sample('plain.qcow2');
    const job = request({ kind: 'convert', image: IMAGE, target: TARGET, ...more });
    await run(job, { [IMAGE]: image, [TARGET]: at('ours') }, { target: NEW });
    shown(job, { [IMAGE]: image, [TARGET]: at('theirs') });
    for (const made of ['ours', 'theirs']) {
      const target = opts(at(made), more.format, 'new-passphrase');
      const plain = `driver=qcow2,file.filename=${image}`;
      expect(qemu('compare', ...objects, '--image-opts', target, plain)).toContain('identical');
    }
    const create = request({ kind: 'create', target: TARGET, size: 2 ** 20, ...more });
    await run(create, { [TARGET]: at('new') }, { target: NEW });
    expect(io(opts(at('new'), more.format, 'new-passphrase'), 'write 0 64k')).not.toContain('failed');
  });

  it.each([QCOW2])('key slots of %s', async (...kind) => {
    const [format] = kind;
    const ours = encrypted('ours', kind);
    const theirs = encrypted('theirs', kind);
    const change = async (keys: object, given: JobSecrets): Promise<void> => {
      const prefix = format === 'luks' ? '' : 'encrypt.';
      const options = 'added' in given ? { [`${prefix}iter-time`]: 10 } : {};
      const job = request({ kind: 'amend', image: IMAGE, keys, options });
      await run(job, { [IMAGE]: ours }, given);
      shown(job, { [IMAGE]: theirs });
    };
    const both = (secret: string): boolean[] => [opens(ours, format, secret), opens(theirs, format, secret)];
    await change({ state: 'active' }, { added: NEW });
    expect([both('passphrase'), both('new-passphrase')]).toEqual([
      [true, true],
      [true, true],
    ]);
    await change({ state: 'inactive' }, { erased: PASS });
    expect([both('passphrase'), both('new-passphrase')]).toEqual([
      [false, false],
      [true, true],
    ]);
    const last = request({ kind: 'amend', image: IMAGE, keys: { state: 'inactive', slot: 1 } });
    await expect(run(last, { [IMAGE]: ours }, {}, NEW)).rejects.toThrow(/last key slot/);
    // What is shown opens with the passphrase that is left.
    writeFileSync(at('passphrase.txt'), NEW);
    expect(() => shown(last, { [IMAGE]: theirs })).toThrow(/Command failed/);
    const forced = { state: 'inactive', slot: 1, force: true };
    await run(request({ kind: 'amend', image: IMAGE, keys: forced }), { [IMAGE]: ours }, {}, NEW);
    shown(request({ kind: 'amend', image: IMAGE, keys: forced }), { [IMAGE]: theirs });
    expect(both('new-passphrase')).toEqual([false, false]);
  });
});

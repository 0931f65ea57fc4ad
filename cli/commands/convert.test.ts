/** `platter convert`: its results are read by the real qemu-img. */
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';
import { platter, pressControlC } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const at = (name: string): string => join(folder, name);

beforeAll(() => {
  qemuImg(folder, 'create', '-q', '-f', 'qcow2', 'source.qcow2', '64M');
  qemuIo(
    folder,
    'qcow2',
    'source.qcow2',
    'write -P 1 0 100k',
    'write -P 2 30M 2M',
    'write -z 40M 1M',
    'write -P 3 64536k 1000k',
  );
  qemuImg(folder, 'convert', '-q', '-c', '-O', 'qcow2', 'source.qcow2', 'compressed.qcow2');
  qemuImg(folder, 'convert', '-q', '-O', 'raw', 'source.qcow2', 'source.raw');
  qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-b', 'source.qcow2', '-F', 'qcow2', 'overlay.qcow2');
  qemuIo(folder, 'qcow2', 'overlay.qcow2', 'write -P 9 31M 64k');
});

describe.each(['source.qcow2', 'compressed.qcow2', 'source.raw'])('%s', (source) => {
  it.each([
    ['raw', []],
    ['qcow2', []],
    ['qcow2', ['-o', 'cluster_size=128k,lazy_refcounts=on']],
    ['qcow2', ['-o', 'compat=0.10', '-o', 'cluster_size=4k']],
  ])('to %s %j', async (format, options) => {
    const target = at(`target.${format}`);
    const ran = await platter(['convert', '-O', format, ...options, at(source), target]);
    expect(ran).toEqual({ code: 0, out: '', err: '' });
    expect(
      qemuImg(
        folder,
        'compare',
        '-f',
        source.endsWith('raw') ? 'raw' : 'qcow2',
        '-F',
        format,
        source,
        target,
      ),
    ).toContain('identical');
    if (format === 'qcow2') expect(qemuImg(folder, 'check', target)).toContain('No errors were found');
    if (options.length > 0) {
      const made = JSON.parse(qemuImg(folder, 'info', '--output=json', target));
      expect(made['cluster-size']).toBe(options.includes('compat=0.10') ? 4096 : 131072);
    }
  });
});

it('leaves zeroes out', async () => {
  await platter(['convert', '-O', 'raw', at('source.qcow2'), at('sparse.raw')]);
  expect(statSync(at('sparse.raw')).blocks * 512).toBeLessThan(8 << 20);
  expect(statSync(at('sparse.raw')).size).toBe(64 << 20);
});

it('reads through the backing file when that is allowed, and only then', async () => {
  const denied = await platter(['convert', at('overlay.qcow2'), at('flat.raw')]);
  expect(denied.code).toBe(1);
  expect(denied.err).toContain('--follow');
  expect(existsSync(at('flat.raw'))).toBe(false);
  expect((await platter(['convert', '--follow', at('overlay.qcow2'), at('flat.raw')])).code).toBe(0);
  expect(qemuImg(folder, 'compare', '-F', 'raw', 'overlay.qcow2', 'flat.raw')).toContain('identical');
});

describe('the target', () => {
  it('takes the place of an old one, through a symbolic link too', async () => {
    writeFileSync(at('old.raw'), 'old');
    symlinkSync('old.raw', at('link.raw'));
    expect((await platter(['convert', at('source.qcow2'), at('link.raw')])).code).toBe(0);
    expect(statSync(at('old.raw')).size).toBe(64 << 20);
  });

  it('is never what is read, under whatever name, nor what that stands on', async () => {
    linkSync(at('source.qcow2'), at('other-name.qcow2'));
    for (const [source, target] of [
      ['source.qcow2', 'source.qcow2'],
      ['source.qcow2', 'other-name.qcow2'],
      ['overlay.qcow2', 'source.qcow2'],
    ]) {
      const before = readFileSync(at(target));
      const ran = await platter(['convert', '--follow', '-O', 'qcow2', at(source), at(target)]);
      expect(ran.code).toBe(1);
      expect(ran.err).toContain('is what is to be read from');
      expect(readFileSync(at(target)).equals(before)).toBe(true);
    }
  });

  it('is nothing but a file', async () => {
    mkdirSync(at('folder'));
    for (const target of [at('folder'), '/dev/null']) {
      const ran = await platter(['convert', at('source.qcow2'), target]);
      expect(ran.code).toBe(1);
      expect(ran.err).toContain('is no regular file');
    }
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });

  it('stays as it was when the conversion fails, and nothing is left beside it', async () => {
    writeFileSync(at('keep.qcow2'), 'precious');
    const files = readdirSync(folder);
    const ran = await platter([
      'convert',
      '-O',
      'qcow2',
      '-o',
      'cluster_size=100',
      at('source.qcow2'),
      at('keep.qcow2'),
    ]);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('cluster_size');
    expect(readFileSync(at('keep.qcow2'), 'utf8')).toBe('precious');
    expect(readdirSync(folder)).toEqual(files);
  });
});

it('leaves no target when it is interrupted', async () => {
  qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-o', 'preallocation=full', 'large.qcow2', '256M');
  const files = readdirSync(folder);
  const ended = platter(['convert', '-S', '0', at('large.qcow2'), at('never.raw')]);
  await pressControlC();
  const ran = await ended;
  expect(ran.code).toBe(130);
  expect(ran.err).toContain('was interrupted');
  expect(readdirSync(folder)).toEqual(files);
});

it('says what is wrong with its options', async () => {
  const say = async (...words: string[]): Promise<string> =>
    (await platter(['convert', ...words, at('source.qcow2'), at('x')])).err;
  expect(await say('-o', 'cluster_size', '-O', 'qcow2')).toContain('cluster_size=…');
  expect(await say('-o', 'size=1G')).toContain('cannot set the size');
  expect(await say('-o', 'no_such=1', '-O', 'qcow2')).toContain('no_such');
  expect(await say('-O', 'nosuch')).toContain('nosuch');
  expect(await say('-S', '100')).toContain('a multiple of 512');
  expect(existsSync(at('x'))).toBe(false);
});

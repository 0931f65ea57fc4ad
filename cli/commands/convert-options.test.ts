/** The options of `platter convert` beside those of `qemu-img convert`: the same disk comes out. */
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';
import { platter, type Ran } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const at = (name: string): string => join(folder, name);
const run = (...words: string[]): Promise<Ran> => platter(['convert', ...words]);
const DONE: Ran = { code: 0, out: '', err: '' };
const same = (left: string, right: string, ...how: string[]): string =>
  qemuImg(folder, 'compare', ...how, left, right);

beforeAll(() => {
  const make = (name: string, size: string, ...more: string[]): string =>
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', ...more, name, size);
  make('base.qcow2', '16M');
  qemuIo(folder, 'qcow2', 'base.qcow2', 'write -P 1 0 3M', 'write -P 2 8M 1M');
  make('top.qcow2', '20M', '-b', 'base.qcow2', '-F', 'qcow2');
  qemuIo(folder, 'qcow2', 'top.qcow2', 'write -P 3 1M 100k', 'write -z 8M 512k', 'write -P 4 18M 64k');
  make('kept.qcow2', '8M');
  qemuIo(folder, 'qcow2', 'kept.qcow2', 'write -P 5 0 1M');
  qemuImg(folder, 'snapshot', '-c', 'before', 'kept.qcow2');
  qemuIo(folder, 'qcow2', 'kept.qcow2', 'write -P 6 512k 2M');
  writeFileSync(at('odd.raw'), new Uint8Array(1000).fill(7));
});

it.each([
  ['before', 'before'],
  ['snapshot.name=before', 'before'],
  ['1', 'before'],
])('-l %s', async (name) => {
  expect(await run('-l', name, '-O', 'raw', at('kept.qcow2'), at('snap.raw'))).toEqual(DONE);
  qemuImg(folder, 'convert', '-l', 'before', '-O', 'raw', 'kept.qcow2', 'snap-theirs.raw');
  expect(readFileSync(at('snap.raw')).equals(readFileSync(at('snap-theirs.raw')))).toBe(true);
});

it('several sources come one behind the other', async () => {
  const sources = ['odd.raw', 'kept.qcow2', 'odd.raw'];
  expect(await run('-O', 'qcow2', ...sources.map(at), at('row.qcow2'))).toEqual(DONE);
  qemuImg(folder, 'convert', '-O', 'qcow2', ...sources, 'row-theirs.qcow2');
  expect(same('row.qcow2', 'row-theirs.qcow2')).toContain('identical');
});

describe('-B', () => {
  it('copies what lies over the backing file, and nothing else', async () => {
    const words = ['-O', 'qcow2', '-B', 'base.qcow2', '-F', 'qcow2'];
    expect(await run('--follow', ...words, at('top.qcow2'), at('over.qcow2'))).toEqual(DONE);
    qemuImg(folder, 'convert', ...words, 'top.qcow2', 'over-theirs.qcow2');
    expect(same('over.qcow2', 'top.qcow2')).toContain('identical');
    expect(same('over.qcow2', 'over-theirs.qcow2')).toContain('identical');
    expect(statSync(at('over.qcow2')).size).toBeLessThanOrEqual(statSync(at('over-theirs.qcow2')).size);
    expect(qemuImg(folder, 'check', 'over.qcow2')).toContain('No errors');
    const made = JSON.parse(qemuImg(folder, 'info', '--output=json', 'over.qcow2'));
    expect(made['backing-filename']).toBe('base.qcow2');
  });

  it('compressed as well', async () => {
    const words = ['-c', '-O', 'qcow2', '-B', 'base.qcow2', '-F', 'qcow2'];
    expect(await run('--follow', ...words, at('top.qcow2'), at('packed.qcow2'))).toEqual(DONE);
    expect(same('packed.qcow2', 'top.qcow2')).toContain('identical');
  });

  it('wants the format of the backing file, and the file', async () => {
    const no = await run('-O', 'qcow2', '-B', 'base.qcow2', at('kept.qcow2'), at('no.qcow2'));
    expect([no.code, existsSync(at('no.qcow2'))]).toEqual([1, false]);
    expect(no.err).toContain('looks like qcow2');
  });
});

describe('-n', () => {
  it('writes into what is there, zeroes too', async () => {
    writeFileSync(at('there.raw'), new Uint8Array(9 << 20).fill(0xee));
    expect(await run('-n', '-O', 'raw', at('kept.qcow2'), at('there.raw'))).toEqual(DONE);
    const bytes = readFileSync(at('there.raw'));
    expect(bytes.length).toBe(9 << 20);
    qemuImg(folder, 'convert', '-O', 'raw', 'kept.qcow2', 'kept.raw');
    expect(bytes.subarray(0, 8 << 20).equals(readFileSync(at('kept.raw')))).toBe(true);
    expect(bytes[8 << 20]).toBe(0xee);
  });

  it('into qcow2, with and without the word that it is zero', async () => {
    for (const more of [[], ['--target-is-zero']]) {
      qemuImg(folder, 'create', '-q', '-f', 'qcow2', 'there.qcow2', '8M');
      if (more.length === 0) qemuIo(folder, 'qcow2', 'there.qcow2', 'write -P 99 0 8M');
      expect(await run('-n', ...more, '-O', 'qcow2', at('kept.qcow2'), at('there.qcow2'))).toEqual(DONE);
      expect(same('kept.qcow2', 'there.qcow2')).toContain('identical');
      expect(qemuImg(folder, 'check', 'there.qcow2')).toContain('No errors');
    }
  });

  it('refuses a smaller one', async () => {
    writeFileSync(at('small.raw'), new Uint8Array(1 << 20));
    const no = await run('-n', at('kept.qcow2'), at('small.raw'));
    expect(no.code).toBe(1);
    expect(no.err).toContain('1048576 bytes');
  });
});

it('--bitmaps', async () => {
  const bits = (name: string): unknown => {
    const { bitmaps } = JSON.parse(qemuImg(folder, 'info', '--output=json', name))['format-specific'].data;
    return bitmaps;
  };
  qemuImg(folder, 'create', '-q', '-f', 'qcow2', 'marked.qcow2', '8M');
  qemuImg(folder, 'bitmap', '--add', '-g', '128k', 'marked.qcow2', 'b0');
  qemuImg(folder, 'bitmap', '--add', '--disable', 'marked.qcow2', 'b1');
  qemuIo(folder, 'qcow2', 'marked.qcow2', 'write 1M 2M');
  expect(await run('--bitmaps', '-O', 'qcow2', at('marked.qcow2'), at('copied.qcow2'))).toEqual(DONE);
  expect(bits('copied.qcow2')).toEqual(bits('marked.qcow2'));
  qemuImg(folder, 'convert', '--bitmaps', '-O', 'qcow2', 'marked.qcow2', 'copied-theirs.qcow2');
  expect(qemuImg(folder, 'check', 'copied.qcow2')).toContain('No errors');
  const no = await run('--bitmaps', '-O', 'raw', at('marked.qcow2'), at('no.raw'));
  expect([no.code, existsSync(at('no.raw'))]).toEqual([1, false]);
});

it('--salvage: what is gone becomes zeroes, and is told of', async () => {
  qemuImg(folder, 'convert', '-O', 'qcow2', 'kept.qcow2', 'cut.qcow2');
  truncateSync(at('cut.qcow2'), statSync(at('cut.qcow2')).size - (1 << 20));
  const no = await run('-O', 'raw', at('cut.qcow2'), at('cut.raw'));
  expect([no.code, existsSync(at('cut.raw'))]).toEqual([1, false]);
  const ran = await run('--salvage', '-O', 'raw', at('cut.qcow2'), at('cut.raw'));
  expect(ran.code).toBe(0);
  expect(ran.err.match(/cannot be read and become zeroes/g)).toHaveLength(1);
  const bytes = readFileSync(at('cut.raw'));
  expect([bytes.length, bytes[0], bytes[(2 << 20) + (400 << 10)]]).toEqual([8 << 20, 5, 0]);
});

it('-S 0 writes everything; -r, -t, -T, -m, -W, -U, -q and -p go through', async () => {
  const words = ['-S', '0', '-r', '1G', '-t', 'none', '-T', 'writeback', '-m', '4', '-W', '-U', '-q', '-p'];
  expect(await run(...words, '-O', 'qcow2', at('kept.qcow2'), at('full.qcow2'))).toEqual(DONE);
  expect(same('kept.qcow2', 'full.qcow2')).toContain('identical');
  expect(qemuImg(folder, 'check', 'full.qcow2')).toContain('128/128 = 100.00% allocated');
});

it.each([
  [['--target-is-zero'], 'goes with -n'],
  [['-n', '-o', 'cluster_size=4k', '-O', 'qcow2'], 'not with -n'],
  [['--skip-broken-bitmaps'], 'goes with --bitmaps'],
  [['-c', '-C', '-O', 'qcow2'], 'do not go together'],
  [['-m', '99'], 'from 1 to 16'],
  [['-S', '100'], 'multiple of 512'],
  [['-B', 'base.qcow2', '-O', 'vdi'], 'cannot have a backing file'],
  [['-c', '-O', 'raw'], 'cannot hold compressed'],
])('refuses %j', async (words, says) => {
  const ran = await run(...words, at('kept.qcow2'), at('refused'));
  expect([ran.code === 0, existsSync(at('refused'))]).toEqual([false, false]);
  expect(ran.err).toContain(says);
});

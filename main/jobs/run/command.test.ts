/** The command that a form shows does what the job does: both are run, and qemu-img judges the results. */
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  at,
  folderForEach,
  IMAGE,
  OTHER,
  qemu,
  request,
  run,
  same,
  sample,
  shown,
  TARGET,
} from './testing/command-bench.ts';

folderForEach();

/** What qemu-img says of an image, without what must differ: its name, its place, random ids, the moment of a snapshot. */
function facts(path: string): unknown {
  const drop = [
    'filename',
    'actual-size',
    'date-sec',
    'date-nsec',
    'children',
    'full-backing-filename',
    'cid',
    'icount',
  ];
  const text = qemu('info', '--output=json', path);
  return JSON.parse(text, (key, value: unknown) => (drop.includes(key) ? undefined : value));
}

describe('a new image', () => {
  it.each([
    { format: 'raw' },
    { format: 'raw', sparse: 0 },
    { format: 'qcow2', options: { cluster_size: 131072, lazy_refcounts: true } },
    { format: 'qcow2', snapshot: 'before' },
    { format: 'qcow2', compressed: true, options: { compression_type: 'zstd' } },
    { format: 'vmdk', options: { subformat: 'monolithicSparse' } },
    { format: 'vhdx', options: { block_size: 2 ** 20 } },
    { format: 'vdi' },
  ])('convert %o', async (more) => {
    const image = sample('disk one.qcow2');
    const job = request({ kind: 'convert', image: IMAGE, target: TARGET, ...more });
    const result = await run(job, { [IMAGE]: image, [TARGET]: at('ours') });
    shown(job, { [IMAGE]: image, [TARGET]: at('theirs') });
    expect(result.kind).toBe('file');
    expect(facts(at('ours'))).toEqual(facts(at('theirs')));
    expect(same('ours', 'theirs')).toContain('identical');
  });

  it.each([
    { format: 'qcow2', size: 3 * 2 ** 20, options: { cluster_size: 4096, refcount_bits: 64 } },
    { format: 'raw', size: 12345 * 512 },
    { format: 'vpc', size: 64 * 2 ** 20, options: { force_size: true } },
  ])('create %o', async (more) => {
    const job = request({ kind: 'create', target: TARGET, ...more });
    await run(job, { [TARGET]: at('ours') });
    shown(job, { [TARGET]: at('theirs') });
    expect(facts(at('ours'))).toEqual(facts(at('theirs')));
  });

  it('create over a backing image', async () => {
    const base = sample('base.qcow2');
    const job = request({
      kind: 'create',
      target: TARGET,
      format: 'qcow2',
      size: 8 * 2 ** 20,
      backing: IMAGE,
      backingFormat: 'qcow2',
    });
    await run(job, { [IMAGE]: base, [TARGET]: at('ours.qcow2') });
    shown(job, { [IMAGE]: base, [TARGET]: at('theirs.qcow2') });
    expect(facts(at('ours.qcow2'))).toEqual(facts(at('theirs.qcow2')));
    expect(same('ours.qcow2', 'base.qcow2')).toContain('identical');
  });
});

describe('an image changed in place', () => {
  it.each([
    { kind: 'resize', size: 12 * 2 ** 20 },
    { kind: 'snapshot', action: 'create', name: "two o'clock" },
    { kind: 'snapshot', action: 'apply', name: 'before' },
    { kind: 'snapshot', action: 'delete', name: 'before' },
    { kind: 'bitmap', action: 'add', name: 'daily', granularity: 65536 },
    { kind: 'check', repair: 'all' },
    { kind: 'amend', options: { lazy_refcounts: true } },
    { kind: 'amend', options: { compat: '0.10' } },
  ])('%o', async (more) => {
    const ours = sample('ours.qcow2');
    copyFileSync(ours, at('theirs.qcow2'));
    const job = request({ image: IMAGE, ...more });
    await run(job, { [IMAGE]: ours });
    shown(job, { [IMAGE]: at('theirs.qcow2') });
    expect(facts(ours)).toEqual(facts(at('theirs.qcow2')));
    expect(same(ours, at('theirs.qcow2'))).toContain('identical');
    expect(qemu('check', ours)).toContain('No errors');
  });

  it('resize to less', async () => {
    const ours = at('ours.raw');
    qemu('convert', '-O', 'raw', sample('disk.qcow2'), ours);
    copyFileSync(ours, at('theirs.raw'));
    const job = request({ kind: 'resize', image: IMAGE, size: 2 ** 20, shrink: true });
    expect(await run(job, { [IMAGE]: ours })).toEqual({ kind: 'size', before: 8 * 2 ** 20, after: 2 ** 20 });
    shown(job, { [IMAGE]: at('theirs.raw') });
    expect(same(ours, at('theirs.raw'))).toContain('identical');
  });
});

describe('an image and what it rests on', () => {
  /** An overlay with a change of its own over a copy of `base`. */
  function overlay(name: string, base: string): string {
    copyFileSync(at('base.qcow2'), at(base));
    qemu('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', name);
    execFileSync('qemu-io', ['-c', 'write -P 3 2M 64k', at(name)], { stdio: 'ignore' });
    return at(name);
  }
  const withoutName = (path: string): string => JSON.stringify(facts(path)).replaceAll(/(ours|theirs)-/g, '');

  it.each([{ empty: true }, { empty: false }])('commit %o', async (more) => {
    sample('base.qcow2');
    const ours = overlay('ours.qcow2', 'ours-base.qcow2');
    const theirs = overlay('theirs.qcow2', 'theirs-base.qcow2');
    const job = request({ kind: 'commit', image: IMAGE, ...more });
    await run(job, { [IMAGE]: ours });
    shown(job, { [IMAGE]: theirs });
    expect(same('ours-base.qcow2', 'theirs-base.qcow2')).toContain('identical');
    expect(same(ours, theirs)).toContain('identical');
    expect(withoutName(ours)).toEqual(withoutName(theirs));
  });

  it.each([
    { unsafe: false, backing: null },
    { unsafe: true, backing: OTHER, backingFormat: 'qcow2' },
    { unsafe: false, backing: OTHER, backingFormat: 'qcow2' },
  ])('rebase %o', async (more) => {
    sample('base.qcow2');
    const other = sample('other.qcow2');
    execFileSync('qemu-io', ['-c', 'write -P 5 4M 64k', other], { stdio: 'ignore' });
    const ours = overlay('ours.qcow2', 'ours-base.qcow2');
    const theirs = overlay('theirs.qcow2', 'theirs-base.qcow2');
    const job = request({ kind: 'rebase', image: IMAGE, ...more });
    await run(job, { [IMAGE]: ours, [OTHER]: other });
    shown(job, { [IMAGE]: theirs, [OTHER]: other });
    expect(withoutName(ours)).toEqual(withoutName(theirs));
    expect(same(ours, theirs)).toContain('identical');
  });
});

describe('an image looked at', () => {
  it.each(['qcow2', 'raw'])('measure %s', async (format) => {
    const job = request({ kind: 'measure', image: IMAGE, format, options: {} });
    const files = { [IMAGE]: sample('disk.qcow2') };
    const [, required, full] =
      /required size: (\d+)\nfully allocated size: (\d+)/.exec(shown(job, files)) ?? [];
    expect(await run(job, files)).toMatchObject({ required: Number(required), full: Number(full) });
  });

  it('checksum', async () => {
    const job = request({ kind: 'checksum', image: IMAGE, algorithm: 'sha256' });
    const files = { [IMAGE]: sample('disk.qcow2') };
    const theirs = shown(job, files).split(' ')[0];
    expect(await run(job, files)).toMatchObject({ digest: theirs, size: 8 * 2 ** 20 });
  });

  it.each([{ count: 24 }, {}])('copy %o', async (more) => {
    const job = request({
      kind: 'copy',
      image: IMAGE,
      target: TARGET,
      format: 'raw',
      bs: 65536,
      skip: 4,
      ...more,
    });
    const image = sample('disk.qcow2');
    await run(job, { [IMAGE]: image, [TARGET]: at('ours.raw') });
    shown(job, { [IMAGE]: image, [TARGET]: at('theirs.raw') });
    expect(qemu('compare', '-f', 'raw', '-F', 'raw', at('ours.raw'), at('theirs.raw'))).toContain(
      'identical',
    );
  });

  it('compare says the byte that qemu-img says', async () => {
    const one = sample('one.qcow2');
    copyFileSync(one, at('two.qcow2'));
    execFileSync('qemu-io', ['-c', 'write -P 1 3145728 512', at('two.qcow2')], { stdio: 'ignore' });
    const job = request({ kind: 'compare', image: IMAGE, other: OTHER });
    const files = { [IMAGE]: one, [OTHER]: at('two.qcow2') };
    expect(await run(job, files)).toMatchObject({ verdict: 'content', offset: 3145728 });
    expect(() => shown(job, files)).toThrow(/Command failed/);
  });
});

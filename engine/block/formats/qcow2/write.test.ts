/** What we write, QEMU reads: contents equal, `qemu-img check` finds nothing; random sequences against a plain byte array. */
import { rmSync, writeFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allowAll } from '../../gate.ts';
import { openImage } from '../../graph.ts';
import { checkImage } from '../../check.ts';
import { noise, same } from '../../testing/bytes.ts';
import { qemuCheck, qemuImg, qemuIo, qemuSame, testFolder } from '../../testing/qemu.ts';
import { asQemuCheck, comparableCheck } from '../../testing/qemu-fields.ts';

const at = testFolder();
const SIZE = 4 << 20;

const place = fc.record({
  offset: fc.nat({ max: SIZE - 1 }),
  length: fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 1, max: 20_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 700_000 }) },
  ),
});
const step = fc.oneof(
  { weight: 6, arbitrary: place.map((one) => ({ kind: 'write' as const, ...one })) },
  { weight: 2, arbitrary: place.map((one) => ({ kind: 'zero' as const, ...one })) },
  { weight: 2, arbitrary: place.map((one) => ({ kind: 'unmap' as const, ...one })) },
  { weight: 2, arbitrary: place.map((one) => ({ kind: 'discard' as const, ...one })) },
  { weight: 1, arbitrary: fc.constant({ kind: 'flush' as const, offset: 0, length: 0 }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'reopen' as const, offset: 0, length: 0 }) },
);

interface Start {
  name: string;
  make: (path: string) => void;
}

const created = (options: string): Start => ({
  name: options,
  make: (path) => void qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, String(SIZE)),
});

const STARTS: Start[] = [
  ...[
    'compat=0.10',
    'compat=1.1',
    'cluster_size=512',
    'cluster_size=1k,refcount_bits=1',
    'cluster_size=4k,refcount_bits=64',
    'cluster_size=2M',
    'lazy_refcounts=on',
    'extended_l2=on',
    'extended_l2=on,cluster_size=16k,refcount_bits=8',
  ].map(created),
  {
    name: 'over a backing file that is shorter',
    make: (path) => {
      qemuImg('create', '-q', '-f', 'qcow2', at('base.qcow2'), '2500k');
      qemuIo(at('base.qcow2'), 'write -P 5 0 2500k', 'write -z 512k 64k');
      qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', path, String(SIZE));
    },
  },
  {
    name: 'over a backing file, with subclusters',
    make: (path) => {
      writeFileSync(at('base.raw'), noise(SIZE, 3));
      const options = 'extended_l2=on,cluster_size=128k';
      qemuImg('create', '-q', '-f', 'qcow2', '-o', options, '-b', 'base.raw', '-F', 'raw', path);
    },
  },
  {
    name: 'over compressed clusters',
    make: (path) => {
      writeFileSync(
        at('packed.raw'),
        noise(SIZE, 4).map((byte) => byte & 3),
      );
      qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', at('packed.raw'), path);
    },
  },
  {
    name: 'over snapshots',
    make: (path) => {
      qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', path, String(SIZE));
      qemuIo(path, 'write -P 6 0 3M');
      qemuImg('snapshot', '-c', 'one', path);
      qemuIo(path, 'write -P 7 1M 64k', 'write -z 2M 64k');
      qemuImg('snapshot', '-c', 'two', path);
    },
  },
  {
    name: 'with an external data file',
    make: (path) => {
      rmSync(at('data.raw'), { force: true });
      const options = `data_file=${at('data.raw')},data_file_raw=on`;
      qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, String(SIZE));
    },
  },
];

describe.each(STARTS)('$name', ({ make }) => {
  it('random sequences', async () => {
    const path = at('image.qcow2');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
        rmSync(path, { force: true });
        make(path);
        const options = { readOnly: false, gate: allowAll };
        let { node } = await openImage(path, options);
        const model = new Uint8Array(SIZE);
        await node.read(0, model);
        for (const [index, { kind, offset, length: wanted }] of steps.entries()) {
          const length = Math.min(wanted, SIZE - offset);
          if (kind === 'write') {
            const bytes = noise(length, index + 1);
            await node.write(offset, bytes);
            model.set(bytes, offset);
          } else if (kind === 'zero' || kind === 'unmap') {
            await node.writeZeroes(offset, length, kind === 'unmap');
            model.fill(0, offset, offset + length);
          } else if (kind === 'discard') {
            await node.discard(offset, length);
            // What was discarded may read as anything that was there or zero; outside nothing may change.
            const now = new Uint8Array(length);
            await node.read(offset, now);
            model.set(now, offset);
          } else if (kind === 'flush') {
            await node.flush();
          } else {
            await node.close();
            ({ node } = await openImage(path, options));
          }
        }
        const got = new Uint8Array(SIZE);
        await node.read(0, got);
        const check = asQemuCheck(await checkImage(node));
        await node.close();
        expect(same(got, model)).toBe(true);
        const theirs = comparableCheck(qemuCheck(path));
        expect([theirs['check-errors'], theirs.corruptions, theirs.leaks]).toEqual([0, undefined, undefined]);
        expect(check).toEqual(theirs);
        writeFileSync(at('model.raw'), model);
        expect(qemuSame(path, at('model.raw'))).toBe(true);
      }),
      { numRuns: Number(process.env.PLATTER_PROPERTY_RUNS ?? 4) },
    );
  });
});

it('snapshots keep what they hold while the disk is overwritten', async () => {
  const path = at('kept.qcow2');
  qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', path, '1M');
  qemuIo(path, 'write -P 1 0 1M');
  qemuImg('snapshot', '-c', 'kept', path);
  const { node } = await openImage(path, { readOnly: false });
  await node.write(1000, noise(500_000, 1));
  await node.writeZeroes(600_000, 100_000, true);
  await node.close();
  qemuImg('snapshot', '-a', 'kept', path);
  qemuIo(path, 'read -P 1 0 1M');
  expect(qemuCheck(path).corruptions ?? 0).toBe(0);
});

it('an image that grows past its refcount table moves to a larger one', async () => {
  const path = at('grows.qcow2');
  // One table cluster of 512 bytes counts 64 blocks of 64 clusters: 2 MiB of file.
  qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512,refcount_bits=64', path, '12M');
  const { node, info } = await openImage(path, { readOnly: false });
  const before = info.header.find(({ name }) => name === 'refcount_table_clusters')?.value;
  const bytes = noise(12 << 20, 1);
  for (let at = 0; at < bytes.length; at += 300_000) await node.write(at, bytes.subarray(at, at + 300_000));
  await node.close();
  const after = await openImage(path);
  expect(
    Number(after.info.header.find(({ name }) => name === 'refcount_table_clusters')?.value),
  ).toBeGreaterThan(Number(before));
  await after.node.close();
  expect(comparableCheck(qemuCheck(path))).toMatchObject({ 'check-errors': 0 });
  expect(qemuCheck(path).corruptions).toBeUndefined();
  expect(qemuCheck(path).leaks).toBeUndefined();
  writeFileSync(at('grown.raw'), bytes);
  expect(qemuSame(path, at('grown.raw'))).toBe(true);
});

it('creates what QEMU accepts, with every option', async () => {
  const { qcow2 } = await import('./driver.ts');
  const { openFile } = await import('../../storage/file.ts');
  const cases = [
    {},
    { compat: '0.10' },
    { cluster_size: 512 },
    { cluster_size: 2 << 20 },
    { refcount_bits: 1 },
    { refcount_bits: 64, cluster_size: 512 },
    { lazy_refcounts: true },
    { extended_l2: 'on' },
    { compression_type: 'zstd' },
    { backing_file: 'some base.raw', backing_fmt: 'raw' },
  ];
  writeFileSync(at('some base.raw'), noise(1 << 20, 1));
  for (const [index, options] of cases.entries()) {
    const path = at(`created-${index}.qcow2`);
    const storage = openFile(path, { create: true });
    await qcow2.create?.(storage, { size: 5 << 20, ...options });
    storage.close();
    const check = qemuCheck(path);
    expect([check['check-errors'], check.corruptions, check.leaks]).toEqual([0, undefined, undefined]);
    const theirs = at(`theirs-${index}.qcow2`);
    const list = Object.entries({ ...options }).map(
      ([key, value]) => `${key}=${value === true ? 'on' : value}`,
    );
    qemuImg('create', '-q', '-f', 'qcow2', ...(list.length > 0 ? ['-o', list.join(',')] : []), theirs, '5M');
    const fields = async (file: string): Promise<unknown> => {
      const { node, info } = await openImage(file, { gate: allowAll });
      await node.close();
      return { header: info.header, specific: info.formatSpecific, size: info.virtualSize };
    };
    if (options.backing_file === undefined) expect(await fields(path)).toEqual(await fields(theirs));
    else expect(qemuSame(path, theirs)).toBe(true);
  }
});

it('refuses options that do not go together, by name', async () => {
  const { qcow2 } = await import('./driver.ts');
  const { MemoryStorage } = await import('../../storage/memory.ts');
  const attempt = (options: object): unknown =>
    qcow2.create?.(new MemoryStorage(), { size: 1 << 20, ...options });
  const bad = (option: string): unknown =>
    expect.objectContaining({ code: 'block.bad-option', context: expect.objectContaining({ option }) });
  expect(() => attempt({ compat: '0.10', lazy_refcounts: true })).toThrow(bad('lazy_refcounts'));
  expect(() => attempt({ extended_l2: true, cluster_size: 8192 })).toThrow(bad('extended_l2'));
  expect(() => attempt({ cluster_size: 1000 })).toThrow(bad('cluster_size'));
  expect(() => attempt({ refcount_bits: 128 })).toThrow(bad('refcount_bits'));
  expect(() => attempt({ size: 2 ** 52, cluster_size: 512 })).toThrow(bad('size'));
  expect(() => attempt({ data_file_raw: true })).toThrow(bad('data_file_raw'));
  expect(() => attempt({ colour: 'red' })).toThrow(expect.objectContaining({ code: 'block.unknown-option' }));
});

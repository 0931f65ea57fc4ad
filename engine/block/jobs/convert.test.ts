/** convert: contents, sparseness, progress, and that nothing half done stays. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { openImage } from '../graph.ts';
import { allowAll } from '../gate.ts';
import { noise, same } from '../testing/bytes.ts';
import { qemuCheck, qemuImg, qemuIo, qemuSame, testFolder } from '../testing/qemu.ts';
import { convert } from './convert.ts';

const at = testFolder();
const code = (expected: string): unknown => expect.objectContaining({ code: expected });

it('qcow2 with a chain to raw: the bytes that qemu-img gives, and holes where there are zeroes', async () => {
  qemuImg('create', '-q', '-f', 'qcow2', at('base.qcow2'), '40M');
  qemuIo(at('base.qcow2'), 'write -P 1 1M 3M', 'write -P 0 5M 2M');
  qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', at('top.qcow2'), '64M');
  qemuIo(at('top.qcow2'), 'write -P 2 2M 100k', 'write -z 3M 64k', 'write -P 3 63M 1000k');
  const { node } = await openImage(at('top.qcow2'), { gate: allowAll });
  const seen: number[] = [];
  await convert(node, at('out.raw'), { onProgress: (done) => seen.push(done) });
  await node.close();
  qemuImg('convert', '-O', 'raw', at('top.qcow2'), at('theirs.raw'));
  expect(same(readFileSync(at('out.raw')), readFileSync(at('theirs.raw')))).toBe(true);
  expect(statSync(at('out.raw')).blocks * 512).toBeLessThan(8 << 20);
  expect(seen.at(-1)).toBe(64 << 20);
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
});

it('raw to qcow2: QEMU finds it equal and clean, at sizes that end anywhere', async () => {
  for (const size of [1_000_448, 512, 3 << 20]) {
    const bytes = noise(size, size);
    bytes.fill(0, size >> 2, size >> 1);
    writeFileSync(at('in.raw'), bytes);
    const { node } = await openImage(at('in.raw'), { format: 'raw' });
    await convert(node, at('out.qcow2'), {
      format: 'qcow2',
      create: { cluster_size: 4096 },
      overwrite: true,
    });
    await node.close();
    expect(qemuSame(at('in.raw'), at('out.qcow2'))).toBe(true);
    const check = qemuCheck(at('out.qcow2'));
    expect([check['check-errors'], check.corruptions, check.leaks]).toEqual([0, undefined, undefined]);
  }
});

it('cancelled or failed, it leaves nothing behind; a file that exists stays', async () => {
  mkdirSync(at('target'));
  qemuImg('create', '-q', '-f', 'qcow2', at('source.qcow2'), '256M');
  qemuIo(at('source.qcow2'), 'write -P 1 0 200M');
  const { node } = await openImage(at('source.qcow2'));
  const stop = new AbortController();
  const cancelled = convert(node, at('target/out.raw'), {
    signal: stop.signal,
    onProgress: () => stop.abort(),
  });
  await expect(cancelled).rejects.toThrow(code('job.cancelled'));
  expect(readdirSync(at('target'))).toEqual([]);
  writeFileSync(at('target/there.raw'), 'precious');
  await expect(convert(node, at('target/there.raw'))).rejects.toThrow(code('storage.exists'));
  await expect(convert(node, at('target/x'), { format: 'nope' })).rejects.toThrow(
    code('block.unknown-format'),
  );
  await expect(convert(node, at('no-such-folder/x'))).rejects.toThrow(code('storage.not-found'));
  expect(readdirSync(at('target'))).toEqual(['there.raw']);
  expect(readFileSync(at('target/there.raw'), 'utf8')).toBe('precious');
  await node.close();
});

/** Every cluster size with a width of the counts: what QEMU wrote is read, what is written here QEMU reads and finds sound. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { openImage } from '../../graph.ts';
import { noise, same } from '../../testing/bytes.ts';
import { qemuCheck, qemuImg, qemuIo, testFolder } from '../../testing/qemu.ts';

const at = testFolder();
const SIZE = 5 << 20;
const WIDTHS = [1, 2, 4, 8, 16, 32, 64];
/** 512 bytes to 2 MiB, QEMU's bounds, and a width for each so that all are there. */
const KINDS = Array.from({ length: 13 }, (_, i) => [512 << i, WIDTHS[(i * 3) % WIDTHS.length]]);

it.each(KINDS)('clusters of %i bytes, counts of %i bits', async (cluster, bits) => {
  const path = at(`c${cluster}.qcow2`);
  qemuImg(
    'create',
    '-q',
    '-f',
    'qcow2',
    '-o',
    `cluster_size=${cluster},refcount_bits=${bits}`,
    path,
    `${SIZE}`,
  );
  qemuIo(path, 'write -P 1 0 100k', 'write -P 2 1M 1M', 'write -z -u 1200k 128k', 'write -P 4 5000000 4096');
  const { node } = await openImage(path, { readOnly: false });
  expect(node.clusterSize).toBe(cluster);
  const wanted = Buffer.alloc(SIZE);
  wanted
    .fill(1, 0, 100 << 10)
    .fill(2, 1 << 20, 2 << 20)
    .fill(0, 1200 << 10, 1328 << 10);
  wanted.fill(4, 5_000_000, 5_004_096);
  const ours = new Uint8Array(SIZE);
  await node.read(0, ours);
  expect(same(ours, wanted)).toBe(true);

  // Over clusters that are there, halves of new ones, and so many that the tables grow.
  const bytes = noise(2 << 20, cluster);
  await node.write(1_500_000, bytes);
  wanted.set(bytes, 1_500_000);
  await node.writeZeroes(2_500_000, 300_001, true);
  wanted.fill(0, 2_500_000, 2_800_001);
  await node.close();
  qemuImg('convert', '-f', 'qcow2', '-O', 'raw', path, at('out.raw'));
  expect(same(readFileSync(at('out.raw')), wanted)).toBe(true);
  const check = qemuCheck(path);
  expect([check['check-errors'], check.corruptions, check.leaks]).toEqual([0, undefined, undefined]);
});

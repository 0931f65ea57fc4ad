/** Giving back space: a raw disk's discards and unmapping zero writes, beside qemu-io's. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { openImage } from '../graph.ts';
import { noise } from '../testing/bytes.ts';
import { testFolder } from '../testing/qemu.ts';

const at = testFolder();
const MIB = 1 << 20;
const SIZE = 4 * MIB;
const taken = (path: string): number => statSync(path).blocks * 512;

it.skipIf(process.platform !== 'linux')('gives back what qemu-io gives back', async () => {
  const before = noise(SIZE, 7);
  writeFileSync(at('theirs.raw'), before);
  copyFileSync(at('theirs.raw'), at('ours.raw'));
  // Aligned, not aligned, and a piece that is no whole block.
  const ranges: [number, number][] = [
    [MIB, MIB],
    [3 * MIB + 512, 256 << 10],
    [512, 1024],
  ];
  const words = ranges.flatMap(([offset, length]) => ['-c', `write -z -u ${offset} ${length}`]);
  execFileSync('qemu-io', ['-d', 'unmap', '-f', 'raw', ...words, at('theirs.raw')], { stdio: 'pipe' });
  const { node } = await openImage(at('ours.raw'), { format: 'raw', readOnly: false });
  for (const [offset, length] of ranges) await node.writeZeroes(offset, length, true);
  await node.flush();
  await node.close();
  expect(readFileSync(at('ours.raw')).equals(readFileSync(at('theirs.raw')))).toBe(true);
  expect(taken(at('ours.raw'))).toBe(taken(at('theirs.raw')));
  expect(taken(at('ours.raw'))).toBeLessThan(SIZE - MIB);
});

it.skipIf(process.platform !== 'linux')('a discard takes the space and nothing beside it', async () => {
  const before = noise(SIZE, 8);
  writeFileSync(at('discard.raw'), before);
  const { node } = await openImage(at('discard.raw'), { format: 'raw', readOnly: false });
  await node.discard(2 * MIB + 512, MIB);
  await node.discard(0, SIZE - 3 * MIB);
  await node.close();
  const after = readFileSync(at('discard.raw'));
  expect(taken(at('discard.raw'))).toBeLessThan(SIZE - 2 * MIB + 8192);
  before.fill(0, 0, MIB);
  before.fill(0, 2 * MIB + 512, 3 * MIB + 512);
  expect(after.equals(before)).toBe(true);
});

it('zeroes that may not be unmapped keep their space', async () => {
  writeFileSync(at('kept.raw'), noise(MIB, 9));
  const { node } = await openImage(at('kept.raw'), { format: 'raw', readOnly: false });
  await node.writeZeroes(0, MIB);
  await node.close();
  expect(taken(at('kept.raw'))).toBeGreaterThanOrEqual(MIB);
  expect(readFileSync(at('kept.raw')).every((byte) => byte === 0)).toBe(true);
});

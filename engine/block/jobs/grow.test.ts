/**
 * Growing where QEMU's drivers cannot: QEMU reads the larger disk, finds it sound and writes to it; a job that is killed at any moment
 * leaves the old disk or the new one, which QEMU may write to, and which can be grown again. `PLATTER_KILL_POINTS` tries more moments.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { allowAll } from '../gate.ts';
import { openImage } from '../graph.ts';
import { dyingAt, moments } from '../testing/death.ts';
import { qemuImg, testFolder } from '../testing/qemu.ts';
import { resizeImage } from './resize.ts';

const at = testFolder();
const POINTS = Number(process.env.PLATTER_KILL_POINTS ?? 3);
const MIB = 1 << 20;
/**
 * The blocks of a VDI are counted before they have moved: what QEMU's own driver leaves when it is killed between two writes. In a full
 * one a block that has moved has a number that only the larger disk has.
 */
const COUNTED =
  /^(ERROR: block index \d+ too large, is \d+\n)?ERROR: allocated blocks mismatch, is \d+, should be \d+$/;

interface Case {
  format: string;
  options: string;
  /** Bytes, before and after. */
  from: number;
  to: number;
  tolerated?: RegExp;
}

const odd = 7 * MIB + 512;
const CASES: Case[] = [
  { format: 'vdi', options: 'static=off', from: odd, to: 20 * MIB },
  { format: 'vdi', options: 'static=off', from: odd, to: 130 * MIB, tolerated: COUNTED },
  { format: 'vdi', options: 'static=on', from: odd, to: 130 * MIB, tolerated: COUNTED },
  { format: 'vhdx', options: 'block_size=1M', from: odd, to: 130_000 * MIB + 512 },
  { format: 'vhdx', options: 'block_size=1M', from: odd, to: 140_000 * MIB },
  { format: 'vhdx', options: 'block_size=1M,subformat=fixed', from: odd, to: 20 * MIB },
  { format: 'vpc', options: 'subformat=dynamic', from: odd, to: 20 * MIB },
  { format: 'vpc', options: 'subformat=dynamic,force_size=on', from: odd, to: 300 * MIB + 512 },
  { format: 'vmdk', options: 'subformat=monolithicSparse,zeroed_grain=on', from: odd, to: 5000 * MIB },
];

/** What lies where on the old disk: value, byte, bytes. */
const CONTENTS = [
  [0, 0, MIB],
  [7, 2 * MIB, MIB],
  [5, 3 * MIB, 70_000 - (70_000 % 512)],
  [6, 7 * MIB, 512],
] as const;

function io(path: string, format: string, ...commands: string[]): string {
  const args = ['-f', format, ...commands.flatMap((one) => ['-c', one]), path];
  const done = spawnSync('qemu-io', args, { encoding: 'utf8' });
  return done.stdout.replace(/^(?!.*(failed|rror)).*\n/gm, '') + done.stderr;
}

function make(path: string, { format, options, from }: Case): void {
  qemuImg('create', '-q', '-f', format, '-o', options, path, String(from));
  const writes = CONTENTS.filter(([value]) => value > 0);
  expect(io(path, format, ...writes.map((one) => `write -P ${one.join(' ')}`))).toBe('');
}

function sizeOf(path: string, format: string): number {
  const info = JSON.parse(qemuImg('info', '--output=json', '-f', format, path)) as { 'virtual-size': number };
  return info['virtual-size'];
}

/** QEMU reads the old contents, and zeroes behind them to the end of the disk. */
function expectContents(path: string, { format, from }: Case, size: number, where: string): void {
  const reads = CONTENTS.map((one) => `read -P ${one.join(' ')}`);
  if (size > from) {
    const start = 7 * MIB + 512;
    reads.push(`read -P 0 ${start} ${Math.min(8 * MIB, size - start)}`, `read -P 0 ${size - 512} 512`);
  }
  expect(io(path, format, ...reads), where).toBe('');
}

function check(path: string, format: string): { sound: boolean; said: string } {
  const done = spawnSync('qemu-img', ['check', '-f', format, path], { encoding: 'utf8' });
  return { sound: done.status === 0 || done.status === 63, said: done.stderr.trim() };
}

async function grow(path: string, { format, to }: Case): Promise<void> {
  const { node } = await openImage(path, { format, readOnly: false });
  try {
    // Where a geometry counts the disk may have become a little larger already.
    await resizeImage(node, Math.max(to, node.virtualSize));
  } finally {
    await node.close();
  }
}

describe.each(CASES)('$format $options from $from to $to', (one) => {
  const { format, tolerated } = one;
  const made = at(`made.${format}`);
  const path = at(`disk.${format}`);

  it('QEMU takes the larger disk, whole or left in the middle', { timeout: 120_000 }, async () => {
    make(made, one);
    const before = sizeOf(made, format);
    copyFileSync(made, path);
    const { changes } = await dyingAt(() => grow(path, one));
    const size = sizeOf(path, format);
    // The geometry of a VHD may hold a little more.
    expect(size - one.to).toBeGreaterThanOrEqual(0);
    expect(size - one.to).toBeLessThan(format === 'vpc' ? MIB : 1);
    expectContents(path, one, size, 'grown');
    expect(check(path, format)).toMatchObject({ sound: true });
    expect(io(path, format, `write -P 9 ${size - 512} 512`, `read -P 9 ${size - 512} 512`)).toBe('');
    expect(check(path, format)).toMatchObject({ sound: true });

    for (const moment of moments(changes, POINTS)) {
      const where = `change ${moment} of ${changes}`;
      copyFileSync(made, path);
      expect((await dyingAt(() => grow(path, one), moment, moment % 2 === 1)).died).toBe(true);
      const left = sizeOf(path, format);
      expect([before, size], where).toContain(left);
      expectContents(path, one, left, where);
      const found = check(path, format);
      if (tolerated?.test(found.said) !== true)
        expect(found, `${where}: ${found.said}`).toMatchObject({ sound: true });
      // QEMU allocates: nothing of the old contents may lie there.
      expect(io(path, format, `write -P 9 5M 64k`), where).toBe('');
      expectContents(path, one, before, where);
      await grow(path, one);
      expect(sizeOf(path, format), where).toBe(size);
      expectContents(path, one, before, where);
      expect(io(path, format, 'read -P 9 5M 64k', `read -P 0 ${size - 512} 512`), where).toBe('');
      expect(check(path, format), where).toMatchObject({ sound: true });
      expect(io(path, format, 'write -P 8 9M 64k', 'read -P 9 5M 64k'), where).toBe('');
      expectContents(path, one, before, where);
    }
  });
});

it.each([
  ['vmdk', 'subformat=twoGbMaxExtentSparse'],
  ['vmdk', 'subformat=monolithicFlat'],
  ['vmdk', 'subformat=streamOptimized'],
  ['vpc', 'subformat=fixed'],
  ['parallels', 'cluster_size=1M'],
])('%s %s keeps its size', async (format, options) => {
  const path = at(`kept.${format}`);
  qemuImg('create', '-q', '-f', format, '-o', options, path, '6M');
  const { node } = await openImage(path, { format, readOnly: false, gate: allowAll });
  await expect(resizeImage(node, 20 * MIB)).rejects.toMatchObject({ code: 'resize.not-possible' });
  await node.close();
});

it.each(['vdi', 'vhdx', 'vpc', 'vmdk'])('%s does not shrink', async (format) => {
  const path = at(`small.${format}`);
  qemuImg('create', '-q', '-f', format, path, '6M');
  const { node } = await openImage(path, { format, readOnly: false });
  const refused = resizeImage(node, 2 * MIB, { shrink: true });
  await expect(refused).rejects.toMatchObject({ code: 'resize.cannot-shrink' });
  await node.close();
});

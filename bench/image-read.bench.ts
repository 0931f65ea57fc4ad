/** Reading a full disk, raw and qcow2, out of the page cache, against `qemu-img bench` on the same file in the same run. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { alignedBuffer } from '#engine/bytes/aligned.ts';
import { openImage } from '#engine/block/graph.ts';
import type { BlockNode } from '#engine/block/node.ts';
import type { BenchLine } from './bench.ts';
import { cpuOf, emptyStart, inTurns } from './measure.ts';

export const name = 'image read';

const SIZE = 512 << 20;
const ROUNDS = 5;

interface Case {
  what: string;
  /** Bytes of one read. */
  block: number;
  count: number;
  /** Bytes from one read to the next; qemu-img bench wraps around at the end of the disk. */
  step: number;
}

/** qemu-img bench knows no random order; a stride that meets another cluster each time defeats any read-ahead as well. */
const STRIDE = 4096 * 9973;
const CASES: Case[] = [
  { what: 'sequential 1M', block: 1 << 20, count: 1024, step: 1 << 20 },
  { what: 'sequential 64k', block: 64 << 10, count: 16384, step: 64 << 10 },
  { what: 'sequential 4k', block: 4096, count: 131_072, step: 4096 },
  { what: 'scattered 4k', block: 4096, count: 150_000, step: STRIDE },
];
const DEPTHS = [1, 64];

export async function run(report: (line: BenchLine) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'platter-bench-'));
  try {
    const at = (file: string): string => join(folder, file);
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', at('disk.qcow2'), String(SIZE)]);
    execFileSync('qemu-io', ['-c', `write -P 90 0 ${SIZE}`, at('disk.qcow2')], { stdio: 'ignore' });
    execFileSync('qemu-img', ['convert', '-O', 'raw', at('disk.qcow2'), at('disk.raw')]);
    const version = /version (\S+)/.exec(execFileSync('qemu-img', ['--version'], { encoding: 'utf8' }))?.[1];
    const start = emptyStart('qemu-img');
    for (const format of ['raw', 'qcow2']) {
      const path = at(`disk.${format}`);
      for (const one of CASES) {
        const { node } = await openImage(path, { format });
        readAll(node, one);
        for (const depth of DEPTHS) {
          const pair = await inTurns(
            ROUNDS,
            () => readAll(node, one),
            () => qemuSeconds(path, format, one, depth),
            { wall: 0, cpu: start.cpu },
          );
          const large = one.block > 4096;
          const rate = (seconds: number): number =>
            large ? (one.count * one.block) / seconds / (1 << 20) : one.count / seconds;
          report({
            what: `${format}, ${one.what}, depth ${depth}`,
            ours: rate(pair.ours.wall),
            theirs: rate(pair.theirs.wall),
            peer: `qemu-img bench ${version}`,
            unit: large ? 'MiB/s' : 'reads/s',
            better: 'higher',
            cpu: cpuOf(pair),
          });
        }
        await node.close();
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Seconds. Reads of a file finish at once, so that depth makes no difference to us: the requests simply follow each other. */
function readAll(node: BlockNode, { block, count, step }: Case): number {
  // On a page, as qemu-img's own.
  const buffer = alignedBuffer(block);
  const start = performance.now();
  for (let index = 0, offset = 0; index < count; index++) {
    const done = node.read(offset, buffer);
    if (done !== undefined) throw new Error('a read of a file was not synchronous');
    offset = (offset + step) % SIZE;
    if (offset + block > SIZE) offset = 0;
  }
  const seconds = (performance.now() - start) / 1000;
  if (buffer[0] !== 90 || buffer[block - 1] !== 90) throw new Error('the wrong bytes were read');
  return seconds;
}

/** What qemu-img says it took, without its own start. */
function qemuSeconds(path: string, format: string, { block, count, step }: Case, depth: number): number {
  const numbers = { '-c': count, '-s': block, '-S': step, '-d': depth };
  const words = Object.entries(numbers).flatMap(([option, value]) => [option, String(value)]);
  const args = ['bench', '-f', format, '-t', 'writeback', ...words, path];
  const said = execFileSync('qemu-img', args, { encoding: 'utf8' });
  const seconds = /completed in ([\d.]+) seconds/.exec(said)?.[1];
  if (seconds === undefined) throw new Error(`qemu-img bench said: ${said}`);
  return Number(seconds);
}

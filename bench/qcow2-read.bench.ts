/** Reading a fully allocated qcow2 out of the page cache, against `qemu-img bench` on the same file in the same run. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { alignedBuffer } from '#engine/bytes/aligned.ts';
import { openImage } from '#engine/block/graph.ts';
import type { BlockNode } from '#engine/block/node.ts';
import type { BenchLine } from './bench.ts';

export const name = 'qcow2 read';

const SIZE = 512 << 20;
const ROUNDS = 5;

interface Case {
  what: string;
  /** Bytes of one read. */
  block: number;
  count: number;
  /** Bytes from one read to the next; qemu-img bench wraps around at the end of the disk. */
  step: number;
  depth: number;
}

/** qemu-img bench knows no random order; a stride that meets another cluster each time defeats any read-ahead as well. */
const STRIDE = 4096 * 9973;
const CASES: Case[] = [
  { what: 'sequential 1M', block: 1 << 20, count: 1024, step: 1 << 20, depth: 1 },
  { what: 'sequential 64k', block: 64 << 10, count: 16384, step: 64 << 10, depth: 1 },
  { what: 'scattered 4k, depth 1', block: 4096, count: 150_000, step: STRIDE, depth: 1 },
  { what: 'scattered 4k, depth 64', block: 4096, count: 150_000, step: STRIDE, depth: 64 },
];

export async function run(report: (line: BenchLine) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'platter-bench-'));
  try {
    const path = join(folder, 'disk.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path, String(SIZE)]);
    execFileSync('qemu-io', ['-c', `write -P 90 0 ${SIZE}`, path], { stdio: 'ignore' });
    const version = /version (\S+)/.exec(execFileSync('qemu-img', ['--version'], { encoding: 'utf8' }))?.[1];
    for (const one of CASES) {
      const { node } = await openImage(path);
      readAll(node, one);
      // Alternating rounds, the best of each: what else the machine does troubles both alike.
      let ours = Number.POSITIVE_INFINITY;
      let theirs = Number.POSITIVE_INFINITY;
      for (let round = 0; round < ROUNDS; round++) {
        theirs = Math.min(theirs, qemuSeconds(path, one));
        ours = Math.min(ours, readAll(node, one));
      }
      await node.close();
      const large = one.block > 4096;
      const rate = (seconds: number): number =>
        large ? (one.count * one.block) / seconds / (1 << 20) : one.count / seconds;
      report({
        what: one.what,
        ours: rate(ours),
        theirs: rate(theirs),
        peer: `qemu-img bench ${version}`,
        unit: large ? 'MiB/s' : 'reads/s',
        better: 'higher',
      });
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
function qemuSeconds(path: string, { block, count, step, depth }: Case): number {
  const args = [
    'bench',
    '-f',
    'qcow2',
    '-t',
    'writeback',
    '-c',
    count,
    '-s',
    block,
    '-S',
    step,
    '-d',
    depth,
    path,
  ];
  const said = execFileSync('qemu-img', args.map(String), { encoding: 'utf8' });
  const seconds = /completed in ([\d.]+) seconds/.exec(said)?.[1];
  if (seconds === undefined) throw new Error(`qemu-img bench said: ${said}`);
  return Number(seconds);
}

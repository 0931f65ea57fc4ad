/** Converting whole images out of the page cache, against `qemu-img convert` on the same file in the same run. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openImage } from '#engine/block/graph.ts';
import { convert } from '#engine/block/jobs/convert.ts';
import type { BenchLine } from './bench.ts';
import { cpuOf, emptyStart, inTurns } from './measure.ts';

export const name = 'convert';

const MIB = 1 << 20;
/** Of the disk; three quarters of it hold data. */
const SIZE = 512 * MIB;
const ROUNDS = 5;

interface Case {
  what: string;
  source: string;
  format: string;
  create?: Record<string, string>;
  compress?: boolean;
}

const CASES: Case[] = [
  { what: 'qcow2 to raw', source: 'disk.qcow2', format: 'raw' },
  { what: 'raw to qcow2', source: 'disk.raw', format: 'qcow2' },
  { what: 'vmdk to qcow2', source: 'disk.vmdk', format: 'qcow2' },
  { what: 'vhdx to qcow2', source: 'disk.vhdx', format: 'qcow2' },
  { what: 'raw to zlib qcow2', source: 'small.raw', format: 'qcow2', compress: true },
  {
    what: 'raw to zstd qcow2',
    source: 'small.raw',
    format: 'qcow2',
    create: { compression_type: 'zstd' },
    compress: true,
  },
  { what: 'zlib qcow2 to raw', source: 'zlib.qcow2', format: 'raw' },
  { what: 'zstd qcow2 to raw', source: 'zstd.qcow2', format: 'raw' },
];

export async function run(report: (line: BenchLine) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'platter-bench-'));
  const at = (file: string): string => join(folder, file);
  const qemuImg = (...words: string[]): string =>
    execFileSync('qemu-img', words, { cwd: folder, encoding: 'utf8' });
  try {
    makeSources(at, qemuImg);
    const version = /version (\S+)/.exec(qemuImg('--version'))?.[1];
    const start = emptyStart('qemu-img');
    for (const one of CASES) {
      const pair = await inTurns(
        ROUNDS,
        () => ourSeconds(one, at),
        () => qemuSeconds(one, at, qemuImg),
        start,
      );
      const format = one.source.replace(/.*\./, '');
      const same = qemuImg(
        'compare',
        '-f',
        format === 'raw' ? 'raw' : format,
        '-F',
        one.format,
        one.source,
        'ours',
      );
      if (!same.includes('identical')) throw new Error(`${one.what}: ${same}`);
      const size = one.source === 'disk.raw' || !one.compress ? SIZE : SIZE / 4;
      const bytes = one.source.startsWith('disk') ? size : SIZE / 4;
      report({
        what: one.what,
        ours: bytes / pair.ours.wall / MIB,
        theirs: bytes / pair.theirs.wall / MIB,
        peer: `qemu-img convert ${version}`,
        unit: 'MiB/s',
        better: 'higher',
        cpu: cpuOf(pair),
      });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A disk of patterns, noise and holes in every format, and a smaller one of this program's own files for packing. */
function makeSources(at: (file: string) => string, qemuImg: (...words: string[]) => string): void {
  qemuImg('create', '-q', '-f', 'qcow2', 'disk.qcow2', String(SIZE));
  const writes: string[] = [];
  for (let start = 0; start < SIZE; start += 128 * MIB)
    writes.push('-c', `write -P ${65 + start / MIB / 128} ${start} 96M`);
  execFileSync('qemu-io', [...writes, at('disk.qcow2')], { stdio: 'ignore' });
  qemuImg('convert', '-O', 'raw', 'disk.qcow2', 'disk.raw');
  qemuImg('convert', '-O', 'vmdk', 'disk.qcow2', 'disk.vmdk');
  qemuImg('convert', '-O', 'vhdx', 'disk.qcow2', 'disk.vhdx');
  const node = process.execPath;
  // A program: packs to less than half, as disks do.
  execFileSync('sh', [
    '-c',
    `head -c ${SIZE / 4} "$0" > "$1"; while [ $(stat -c %s "$1") -lt ${SIZE / 4} ]; do cat "$0" >> "$1"; done; truncate -s ${SIZE / 4} "$1"`,
    node,
    at('small.raw'),
  ]);
  qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', 'small.raw', 'zlib.qcow2');
  qemuImg(
    'convert',
    '-c',
    '-f',
    'raw',
    '-O',
    'qcow2',
    '-o',
    'compression_type=zstd',
    'small.raw',
    'zstd.qcow2',
  );
}

async function ourSeconds(one: Case, at: (file: string) => string): Promise<number> {
  rmSync(at('ours'), { force: true });
  const start = performance.now();
  const { node } = await openImage(at(one.source), {
    format: one.source.endsWith('.raw') ? 'raw' : undefined,
  });
  await convert(node, at('ours'), { format: one.format, create: one.create, compress: one.compress });
  await node.close();
  return (performance.now() - start) / 1000;
}

function qemuSeconds(
  one: Case,
  at: (file: string) => string,
  qemuImg: (...words: string[]) => string,
): number {
  rmSync(at('theirs'), { force: true });
  const words = ['convert'];
  if (one.compress === true) words.push('-c');
  for (const [key, value] of Object.entries(one.create ?? {})) words.push('-o', `${key}=${value}`);
  // As ours does: on stable storage when it ends.
  words.push('-t', 'writeback', '-O', one.format);
  if (one.source.endsWith('.raw')) words.push('-f', 'raw');
  const start = performance.now();
  qemuImg(...words, one.source, 'theirs');
  const seconds = (performance.now() - start) / 1000;
  if (statSync(at('theirs')).size === 0) throw new Error('qemu-img wrote nothing');
  return seconds;
}

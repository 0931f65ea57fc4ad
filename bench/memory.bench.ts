/** Peak memory of `platter convert` and `check`, with an image sixty-four times as large: it must not grow with the image. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { cli, ensureBuilt } from '../scripts/lib/build.mjs';
import type { BenchLine } from './bench.ts';

export const name = 'peak memory';

const GIB = 2 ** 30;
const program = resolve(import.meta.dirname, '../out/cli/platter.mjs');
/** Told by the process itself when it ends, kilobytes. */
const TELL =
  'data:text/javascript,process.on("exit",()=>console.error(`peak ${process.resourceUsage().maxRSS}`))';

export async function run(report: (line: BenchLine) => void): Promise<void> {
  await Promise.resolve(ensureBuilt(cli, { quiet: true }));
  const folder = mkdtempSync(join(tmpdir(), 'platter-bench-'));
  const at = (file: string): string => join(folder, file);
  try {
    for (const size of [1, 64]) {
      const image = at(`${size}.qcow2`);
      execFileSync('qemu-img', [
        'create',
        '-q',
        '-f',
        'qcow2',
        '-o',
        'preallocation=metadata',
        image,
        `${size}G`,
      ]);
      // The same data everywhere: a MiB in each sixteenth of the disk.
      const writes = Array.from({ length: 16 }, (_, part) => [
        '-c',
        `write -P 7 ${(part * size * GIB) / 16} 1M`,
      ]);
      execFileSync('qemu-io', [...writes.flat(), image], { stdio: 'ignore' });
    }
    for (const [what, words] of [
      ['check', (size: number) => ['check', at(`${size}.qcow2`)]],
      ['convert', (size: number) => ['convert', '-O', 'qcow2', at(`${size}.qcow2`), at(`${size}.out`)]],
    ] as const) {
      report({
        what: `${what} of 64 GiB`,
        ours: peak(words(64)),
        theirs: peak(words(1)),
        peer: 'the same of 1 GiB',
        unit: 'MiB',
        better: 'lower',
      });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** MiB. */
function peak(words: readonly string[]): number {
  const { stderr, status } = spawnSync(process.execPath, ['--import', TELL, program, ...words], {
    encoding: 'utf8',
  });
  const told = /^peak (\d+)$/m.exec(stderr)?.[1];
  if (status !== 0 || told === undefined) throw new Error(`platter ${words.join(' ')}: ${stderr}`);
  return Number(told) / 1024;
}

/** From the word `platter` to its answer: a program that is called in loops must not keep anybody waiting. */
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { cli, ensureBuilt } from '../scripts/lib/build.mjs';
import type { BenchLine } from './bench.ts';

export const name = 'start of platter';

const ROUNDS = 15;
const program = resolve(import.meta.dirname, '../out/cli/platter.mjs');
const image = resolve(import.meta.dirname, '../resources/samples/sample.qcow2');
const line = resolve(import.meta.dirname, '../resources/samples/line.txt');

const COMMANDS = [
  ['--version'],
  ['info', image],
  ['map', '--json', image],
  ['lint', line],
  ['run', '--force', '--device', 'virtio-disk1', '--line', line, '--number-ios', '1'],
];

/** The best of several starts, milliseconds; `accepted` are the exit codes that mean it did its work. */
function start(command: string, args: readonly string[], accepted: readonly number[]): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round += 1) {
    const from = performance.now();
    const { status, error } = spawnSync(command, args, { stdio: 'ignore' });
    best = Math.min(best, performance.now() - from);
    if (error !== undefined || status === null || !accepted.includes(status)) {
      throw new Error(`${command} ${args.join(' ')} ended with ${status}`, { cause: error });
    }
  }
  return best;
}

export async function run(report: (line: BenchLine) => void): Promise<void> {
  ensureBuilt(cli, { quiet: true });
  const empty = start(process.execPath, ['-e', '0'], [0]);
  for (const words of COMMANDS) {
    const ours = start(
      process.execPath,
      [program, ...words],
      words[0] === 'lint' || words[0] === 'run' ? [0, 1] : [0],
    );
    report({
      what: words[0],
      ours,
      theirs: empty,
      peer: `an empty Node ${process.versions.node}`,
      unit: 'ms',
      better: 'lower',
    });
  }
  const ours = start(process.execPath, [program, 'info', image], [0]);
  report({
    what: 'info',
    ours,
    theirs: start('qemu-img', ['info', image], [0]),
    peer: 'qemu-img info',
    unit: 'ms',
    better: 'lower',
  });
}

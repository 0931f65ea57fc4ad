/** A keystroke in the editor: parse, lint, draw and explain a line of 200 options, held against a frame of 60 Hz. */
import { explain } from '../engine/qemu/explain.ts';
import { lint } from '../engine/qemu/lint.ts';
import { parseCommandLine } from '../engine/qemu/parse.ts';
import { topology } from '../engine/qemu/topology.ts';
import type { BenchLine } from './bench.ts';

const FRAME_MS = 16;
const DISKS = 49;
const ROUNDS = 60;

function longLine(): string {
  const parts = ['qemu-system-x86_64 -machine q35 -m 4G -smp 4 -nodefaults'];
  for (let i = 0; i < DISKS; i++) {
    const n = String(i);
    parts.push(
      `  -object iothread,id=io${n}`,
      `  -device pcie-root-port,id=port${n},chassis=${String(i + 1)},addr=${(1 + Math.floor(i / 8)).toString(16)}.${String(i % 8)},multifunction=on`,
      `  -drive file=/srv/images/disk${n}.qcow2,if=none,id=drive${n},format=qcow2,cache=none,aio=native,discard=unmap`,
      `  -device virtio-blk-pci,drive=drive${n},id=disk${n},bus=port${n},iothread=io${n},num-queues=4,bootindex=${n}`,
    );
  }
  return parts.join(' \\\n');
}

export const name = 'command line';

export function run(report: (line: BenchLine) => void): Promise<void> {
  const text = longLine();
  const context = { version: '10.2' };
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    // Another text each time, as after a keystroke: nothing is remembered.
    const start = performance.now();
    const line = parseCommandLine(`${text}${' '.repeat(round)}`);
    const problems = lint(line, context);
    topology(line, context, problems);
    explain(line);
    times.push(performance.now() - start);
    if (line.options.length < 200)
      throw new Error(`the line has ${String(line.options.length)} options only`);
  }
  const median = times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
  report({
    what: 'keystroke, 200 options',
    ours: median,
    theirs: FRAME_MS,
    peer: 'a frame of 60 Hz',
    unit: 'ms',
    better: 'lower',
  });
  return Promise.resolve();
}

/** How long a running lab keeps the event loop of its process: whoever waits for a frame or presses pause waits so long. */
import { performance } from 'node:perf_hooks';
import { openImage } from '#engine/block/graph.ts';
import { MemoryStorage } from '#engine/block/storage/memory.ts';
import { createLab } from '#engine/lab/lab.ts';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import type { BenchLine } from './bench.ts';

export const name = 'turns of the event loop';

const MIB = 1024 * 1024;
const MEASURE_MS = 3000;
/** What issue and design allow between two turns. */
const LIMIT_MS = 10;
const LINE = '-drive file=a.img,if=none,id=d0,format=raw -device virtio-blk-pci,drive=d0';

/** Gaps between turns of `setImmediate` while `MEASURE_MS` pass, sorted, milliseconds. */
async function gaps(): Promise<number[]> {
  const found: number[] = [];
  const end = performance.now() + MEASURE_MS;
  for (let last = performance.now(); last < end;) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = performance.now();
    found.push(now - last);
    last = now;
  }
  return found.toSorted((a, b) => a - b);
}

export async function run(report: (line: BenchLine) => void): Promise<void> {
  for (const [what, bs] of [
    ['randwrite 4k', 4096],
    ['write 4m', 4 * MIB],
  ] as const) {
    const { node } = await openImage(new MemoryStorage(64 * MIB), { format: 'raw', readOnly: false });
    const lab = createLab({
      line: parseCommandLine(LINE),
      drives: () => node,
      workload: {
        rw: bs === 4096 ? 'randwrite' : 'write',
        bs,
        iodepth: 8,
        numberIos: 0,
        offset: 0,
        size: 0,
        rwmixread: 50,
        seed: 1,
        fsync: 0,
      },
    });
    lab.run();
    const sorted = await gaps();
    await lab.close();
    for (const [share, part] of [
      ['99 %', 0.99],
      ['99.9 %', 0.999],
    ] as const) {
      report({
        what: `${what}, ${share} of turns within`,
        ours: sorted[Math.floor((sorted.length - 1) * part)],
        theirs: LIMIT_MS,
        peer: 'the limit',
        unit: 'ms',
        better: 'lower',
      });
    }
  }
}

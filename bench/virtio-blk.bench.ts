/**
 * Requests a second at 4 KiB through the driver's half, the split ring, virtio-blk and a disk in memory, with the trace off and on;
 * beside a plain prototype of the ring alone: the same descriptors, no checks, no device, no data.
 */
import { performance } from 'node:perf_hooks';
import type { BenchLine } from './bench.ts';
import { plainRing } from './plain-ring.ts';
import { openRig, runBatch, type Rig } from './virtio-rig.ts';

export const name = 'virtio-blk';

const BATCH = 32;
const REQUESTS = 400_000;
/** Each side is measured so often, alternately, and the best run counts: what disturbs only ever costs time. */
const ROUNDS = 7;

/** Requests a second of `work`, which does one batch. */
function measure(work: () => void): number {
  const start = performance.now();
  for (let done = 0; done < REQUESTS; done += BATCH) work();
  return (REQUESTS / (performance.now() - start)) * 1000;
}

/** The best figures of several works, measured in turns. */
function best(works: readonly (() => void)[]): number[] {
  const figures = works.map(() => 0);
  for (let round = 0; round < ROUNDS; round++) {
    works.forEach((work, i) => (figures[i] = Math.max(figures[i], measure(work))));
  }
  return figures;
}

/** Bytes of garbage that a request leaves behind, seen over many. */
function garbagePerRequest(rig: Rig): number {
  const before = process.memoryUsage().heapUsed;
  measure(() => runBatch(rig, BATCH));
  return Math.max(0, process.memoryUsage().heapUsed - before) / REQUESTS;
}

export async function run(report: (line: BenchLine) => void): Promise<void> {
  const ring = plainRing(256);
  const plain = (): void => ring.batch(BATCH);
  const off = openRig({ trace: false });
  const on = openRig({ trace: true });
  const [alone, untraced, traced] = best([plain, () => runBatch(off, BATCH), () => runBatch(on, BATCH)]);
  const unit = 'requests/s';
  const better = 'higher';
  report({
    what: '4k reads, trace off',
    ours: untraced,
    theirs: alone,
    peer: 'plain ring alone',
    unit,
    better,
  });
  report({ what: '4k reads, trace on', ours: traced, theirs: alone, peer: 'plain ring alone', unit, better });
  report({ what: 'trace on against off', ours: traced, theirs: untraced, peer: 'trace off', unit, better });
  const copying = plainRing(256, 4096);
  const [copied, again] = best([() => copying.batch(BATCH), () => runBatch(off, BATCH)]);
  report({
    what: '4k reads, trace off',
    ours: again,
    theirs: copied,
    peer: 'plain ring that copies',
    unit,
    better,
  });
  report({
    what: 'garbage',
    ours: garbagePerRequest(off) + 1,
    theirs: 1,
    peer: 'none (1 added to both)',
    unit: 'bytes/request',
    better: 'lower',
  });
}

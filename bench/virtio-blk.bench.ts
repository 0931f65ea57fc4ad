/**
 * Requests a second at 4 KiB through the driver's half, the ring, virtio-blk and a disk in memory, for each kind of ring, with the trace
 * off and on; beside a plain prototype of the ring alone (the same descriptors, no checks, no device, no data). QEMU's device stands in
 * qtest.bench.ts. Figures of garbage are what the heap grew by, over many requests.
 */
import { performance } from 'node:perf_hooks';
import type { BenchLine } from './bench.ts';
import { plainRing } from './plain-ring.ts';
import { openRig, runBatch, type Rig, type RigOptions } from './virtio-rig.ts';

export const name = 'virtio-blk';

const BATCH = 32;
/** Few enough that a run fits between two turns of somebody else on a busy machine. */
const REQUESTS = 6400;
/** Each side is measured so often, alternately, and the best run counts: what disturbs only ever costs time. */
const ROUNDS = 500;
/** Over how many the heap's growth is looked at. */
const MANY = 400_000;

/** Requests a second of `work`, which does one batch. */
function measure(work: () => void, requests = REQUESTS): number {
  const start = performance.now();
  for (let done = 0; done < requests; done += BATCH) work();
  return (requests / (performance.now() - start)) * 1000;
}

/** The best figures of several works, measured in turns. */
function best(works: readonly (() => void)[]): number[] {
  const figures = works.map(() => 0);
  for (let round = 0; round < ROUNDS; round++) {
    works.forEach((work, i) => (figures[i] = Math.max(figures[i], measure(work))));
  }
  return figures;
}

/** Bytes of garbage that a request leaves behind, seen over many; the least of several, since the compiler leaves some as well. */
function garbagePerRequest(rig: Rig): number {
  let least = Infinity;
  for (let round = 0; round < 3; round++) {
    const before = process.memoryUsage().heapUsed;
    measure(() => runBatch(rig, BATCH), MANY);
    least = Math.min(least, Math.max(0, process.memoryUsage().heapUsed - before));
  }
  return least / MANY;
}

/** The kinds of ring beside the plain split one. */
const KINDS: readonly [string, Partial<RigOptions>][] = [
  ['split, indirect', { indirect: true }],
  ['split, EVENT_IDX', { eventIdx: true }],
  ['packed', { layout: 'packed' }],
  ['packed, indirect', { layout: 'packed', indirect: true }],
  ['packed, EVENT_IDX', { layout: 'packed', eventIdx: true }],
];

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
  const rigs = KINDS.map(([, options]) => openRig({ trace: false, ...options }));
  const [split, ...others] = best([off, ...rigs].map((rig) => () => runBatch(rig, BATCH)));
  others.forEach((ours, i) => {
    report({ what: `4k reads, ${KINDS[i][0]}`, ours, theirs: split, peer: 'split', unit, better });
  });
  const all: [string, Rig][] = [
    ['split', off],
    ['split, trace on', on],
  ];
  rigs.forEach((rig, i) => all.push([KINDS[i][0], rig]));
  for (const [what, rig] of all) {
    report({
      what: `garbage, ${what}`,
      ours: garbagePerRequest(rig) + 1,
      theirs: 1,
      peer: 'none (1 added to both)',
      unit: 'bytes/request',
      better: 'lower',
    });
  }
}

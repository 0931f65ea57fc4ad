/**
 * Every device beside QEMU's own in the same run: 4 KiB reads one after the other, each register access and each look at memory an
 * operation of its own, the same script for both; QEMU's is driven over qtest. What a socket costs is in QEMU's figure.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { diskContent, DISK_BYTES } from '../tests/differential/blk-script.ts';
import { qemuBoard } from '../tests/differential/board.ts';
import { QTest } from '../tests/differential/qtest.ts';
import type { BenchLine } from './bench.ts';
import { BYTES, PEERS, type QtestPeer } from './qtest-peers.ts';

export const name = 'qtest';

const REQUESTS = 60;
/** Each side is measured so often, alternately, and the best run counts: what disturbs only ever costs time. */
const ROUNDS = 3;

/** Requests a second. */
async function measure(read: (sector: number) => Promise<void>): Promise<number> {
  const places = DISK_BYTES / BYTES;
  const start = performance.now();
  for (let i = 0; i < REQUESTS; i++) await read(((i * 7) % places) * (BYTES / 512));
  return (REQUESTS / (performance.now() - start)) * 1000;
}

async function compare(peer: QtestPeer, folder: string, image: string): Promise<[number, number]> {
  const qtest = await QTest.start(
    join(folder, 'q.sock'),
    ['-drive', `file=${image},if=none,id=d0,format=raw`, ...peer.options],
    peer.machine,
  );
  try {
    const node = arrayNode(DISK_BYTES);
    node.disk.set(diskContent());
    const reads = [await peer.open(peer.platter(node)), await peer.open(qemuBoard(qtest))];
    const figures: [number, number] = [0, 0];
    for (let round = 0; round < ROUNDS; round++) {
      for (const [i, read] of reads.entries()) figures[i] = Math.max(figures[i], await measure(read));
    }
    return figures;
  } finally {
    await qtest.close();
    await rm(join(folder, 'q.sock'), { force: true });
  }
}

export async function run(report: (line: BenchLine) => void): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'platter-bench-'));
  const image = join(folder, 'disk.img');
  await writeFile(image, diskContent());
  try {
    for (const peer of PEERS) {
      const [ours, theirs] = await compare(peer, folder, image);
      const what = `4k reads, ${peer.what}, one operation at a time`;
      report({ what, ours, theirs, peer: 'QEMU over qtest', unit: 'requests/s', better: 'higher' });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

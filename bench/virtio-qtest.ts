/** The peer for single operations: QEMU's virtio-blk-pci over qtest, driven by the same script as Platter's. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { diskContent, DISK_BYTES, PLAIN } from '../tests/differential/blk-script.ts';
import { platterBoard } from '../tests/differential/blk-board.ts';
import { qemuBoard, type Board } from '../tests/differential/board.ts';
import { ScriptDriver } from '../tests/differential/driver.ts';
import { QTest } from '../tests/differential/qtest.ts';

const REQUESTS = 100;

/** Requests a second of one board: 4 KiB reads one after the other, every access an operation of its own. */
async function measure(board: Board): Promise<number> {
  const driver = new ScriptDriver(board);
  await driver.find();
  await driver.initialise(PLAIN);
  await driver.read(0, 4096);
  const start = performance.now();
  for (let i = 0; i < REQUESTS; i++) await driver.read((i * 8) % 1024, 4096);
  return (REQUESTS / (performance.now() - start)) * 1000;
}

/** Platter's and QEMU's figures. Throws when QEMU is not there. */
export async function measureOverQtest(): Promise<{ ours: number; theirs: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'platter-bench-'));
  const content = diskContent();
  const image = join(folder, 'disk.img');
  await writeFile(image, content);
  const node = arrayNode(DISK_BYTES);
  node.disk.set(content);
  try {
    const qtest = await QTest.start(join(folder, 'q.sock'), [
      '-drive',
      `file=${image},if=none,id=d0,format=raw`,
      '-device',
      'virtio-blk-pci,drive=d0,addr=4,disable-legacy=on',
    ]);
    const boards = [platterBoard(node, {}), qemuBoard(qtest)];
    const figures = [0, 0];
    for (let round = 0; round < 3; round++) {
      for (const [i, board] of boards.entries()) figures[i] = Math.max(figures[i], await measure(board));
    }
    await qtest.close();
    return { ours: figures[0], theirs: figures[1] };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

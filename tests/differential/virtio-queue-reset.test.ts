/** Reset of one queue (virtio 1.2, section 2.6.1) with RING_RESET, split and packed: Platter's virtio-blk-pci and QEMU's. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { COMMON } from '#engine/virtio/transport/pci-layout.ts';
import { platterBoard } from './blk-board.ts';
import { diskContent, DISK_BYTES, EVENT_IDX, PLAIN, RING_PACKED } from './blk-script.ts';
import { qemuBoard, type Board } from './board.ts';
import { isCompared } from './differences.ts';
import { PACKED, ScriptDriver, SPLIT } from './driver.ts';
import { QTest } from './qtest.ts';
import { SIZE } from './script-ring.ts';

/** In the high word. */
const RING_RESET = 1 << 8;

let folder = '';
const boards: Board[] = [];
afterEach(async () => {
  for (const board of boards.splice(0)) await board.close();
  await rm(folder, { recursive: true, force: true });
});

async function noteQueue(driver: ScriptDriver, label: string): Promise<void> {
  const { transport } = driver;
  await transport.setCommon(COMMON.queueSelect, 2, 0);
  for (const at of [COMMON.queueSize, COMMON.queueVector, COMMON.queueEnable, COMMON.queueReset])
    driver.note(`${label} ${at}`, await transport.common(at, 2));
  for (let at = COMMON.queueDesc; at < COMMON.queueNotifyData; at += 4)
    driver.note(`${label} ${at}`, await transport.common(at, 4));
}

it.each([
  ['split', false],
  ['packed', true],
] as const)('a %s queue is as after power-on, and can be set up again', async (_, packed) => {
  folder = await mkdtemp(join(tmpdir(), 'platter-reset-'));
  const content = diskContent();
  await writeFile(join(folder, 'disk.img'), content);
  const qtest = await QTest.start(join(folder, 'q.sock'), [
    '-drive',
    `file=${join(folder, 'disk.img')},if=none,id=d0,format=raw`,
    '-device',
    `virtio-blk-pci,drive=d0,addr=4,disable-legacy=on,packed=${packed ? 'on' : 'off'}`,
  ]);
  const node = arrayNode(DISK_BYTES);
  node.disk.set(content);
  boards.push(platterBoard(node, { packed }), qemuBoard(qtest));
  const logs: string[][] = [];
  for (const board of boards) {
    const driver = new ScriptDriver(board, packed ? PACKED : SPLIT);
    const { transport, ring } = driver;
    await driver.find();
    const high = PLAIN[1] | RING_RESET | (packed ? RING_PACKED : 0);
    await driver.initialise([PLAIN[0] | EVENT_IDX, high]);
    for (let i = 0; i < 5; i++) await driver.read(i, 512);
    await noteQueue(driver, 'running');
    // Only 1 resets.
    await transport.setCommon(COMMON.queueReset, 2, 0);
    await noteQueue(driver, 'zero');
    await transport.setCommon(COMMON.queueReset, 2, 1);
    await noteQueue(driver, 'reset');
    driver.note('status', await transport.status());
    // A doorbell of a queue that is not there is nobody's.
    await transport.notify(0);
    driver.note('status', await transport.status());
    await ring.reset();
    await transport.setUpQueue(0, SIZE, ring.at);
    await noteQueue(driver, 'again');
    for (let i = 0; i < 20; i++) await driver.read(100 + i, 512);
    driver.note('status', await transport.status());
    const failed = driver.failedRequests;
    logs.push(driver.log.filter((line) => isCompared(line, !failed.has(line.split(' ')[1]))));
  }
  expect(logs[1].length).toBeGreaterThan(100);
  expect(logs[0]).toEqual(logs[1]);
});

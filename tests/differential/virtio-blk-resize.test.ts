/** A disk that grows and shrinks while its driver is up (`block_resize`): capacity, configuration generation and interrupt beside QEMU's. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { BlockNode } from '#engine/block/node.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { BLK_CONFIG } from '#engine/virtio/blk/config.ts';
import { BLK_T } from '#engine/virtio/blk/protocol.ts';
import { COMMON, REGION } from '#engine/virtio/transport/pci-layout.ts';
import { platterBlk } from './blk-board.ts';
import { PLAIN } from './blk-script.ts';
import { qemuBoard } from './board.ts';
import { isCompared } from './differences.ts';
import { ScriptDriver } from './driver.ts';
import { BAR_BASE } from './pci-transport.ts';
import { Qmp } from './qmp.ts';
import { QTest } from './qtest.ts';

const MIB = 1024 * 1024;
/** How often QEMU is asked whether it has noticed, with so many milliseconds in between. */
const TRIES = 300;
const PAUSE = 10;

async function script(driver: ScriptDriver, resize: (bytes: number) => Promise<void>): Promise<void> {
  const { transport, board } = driver;
  const generation = (): Promise<number> => transport.common(COMMON.configGeneration, 1);
  const state = async (label: string): Promise<void> => {
    for (let at = 0; at < BLK_CONFIG.blkSize; at += 4)
      driver.note(`${label} config ${at}`, await board.read(BAR_BASE + REGION.device + at, 4));
    driver.note(`${label} generation`, await generation());
    driver.note(`${label} isr`, await board.read(BAR_BASE + REGION.isr, 1));
    driver.note(`${label} isr again`, await board.read(BAR_BASE + REGION.isr, 1));
  };
  await driver.find();
  // Nobody is told before the driver is up.
  await resize(3 * MIB);
  await driver.initialise(PLAIN);
  await state('started');
  for (const bytes of [4 * MIB, 2 * MIB]) {
    const before = await generation();
    await resize(bytes);
    for (let tries = 0; tries < TRIES && (await generation()) === before; tries++) await sleep(PAUSE);
    await state(`${bytes / MIB} MiB`);
    await driver.read(bytes / 512 - 1, 512);
    await driver.request(BLK_T.in, bytes / 512, [{ bytes: 512 }]);
  }
}

it('capacity, generation, ISR and what lies past the end', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'platter-resize-'));
  const image = join(folder, 'disk.img');
  await writeFile(image, new Uint8Array(2 * MIB));
  const qtest = await QTest.start(join(folder, 'q.sock'), [
    '-drive',
    `file=${image},if=none,id=d0,format=raw`,
    '-device',
    'virtio-blk-pci,drive=d0,addr=4,disable-legacy=on',
    '-qmp',
    `unix:${join(folder, 'qmp.sock')},server=on,wait=off`,
  ]);
  const qmp = await Qmp.connect(join(folder, 'qmp.sock'));
  const node: BlockNode & { virtualSize: number } = { ...arrayNode(4 * MIB), virtualSize: 2 * MIB };
  const { board, device } = platterBlk(node, {});
  const logs: string[][] = [];
  try {
    for (const [each, resize] of [
      [
        board,
        async (bytes: number) => {
          node.virtualSize = bytes;
          device.capacityChanged();
        },
      ],
      [
        qemuBoard(qtest),
        async (bytes: number) => void (await qmp.ask('block_resize', { device: 'd0', size: bytes })),
      ],
    ] as const) {
      const driver = new ScriptDriver(each);
      await script(driver, resize);
      const failed = driver.failedRequests;
      logs.push(driver.log.filter((line) => isCompared(line, !failed.has(line.split(' ')[1]))));
    }
  } finally {
    qmp.close();
    await qtest.close();
    await rm(folder, { recursive: true, force: true });
  }
  const [platter, qemu] = logs;
  expect(qemu.filter((line) => line.includes('generation')).length).toBe(3);
  expect(platter).toEqual(qemu);
});

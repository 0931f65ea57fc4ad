/** Negotiation that fails (virtio 1.2, sections 3.1.1 and 6.2), beside QEMU's: `iommu_platform=on`, and a driver that leaves it out. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { F } from '#engine/virtio/features.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { COMMON } from '#engine/virtio/transport/pci-layout.ts';
import { platterBoard } from './blk-board.ts';
import { PLAIN } from './blk-script.ts';
import { qemuBoard, type Board } from './board.ts';
import { ScriptDriver } from './driver.ts';
import { QTest } from './qtest.ts';

const BYTES = 65536;
const ACCESS_PLATFORM = 1 << (F.ACCESS_PLATFORM - 32);
const VERSION_1 = 1 << (F.VERSION_1 - 32);

let folder = '';
let boards: Board[] = [];
afterEach(async () => {
  for (const board of boards) await board.close();
  await rm(folder, { recursive: true, force: true });
});

async function script(driver: ScriptDriver): Promise<void> {
  const { transport } = driver;
  const write = (register: keyof typeof COMMON, size: 1 | 4, value: number): Promise<void> =>
    transport.setCommon(COMMON[register], size, value);
  const status = async (label: string): Promise<void> =>
    driver.note(label, await transport.common(COMMON.status, 1));
  const attempt = async (label: string, low: number, high: number, values: number[]): Promise<void> => {
    await write('status', 1, 0);
    for (const value of [1, 3]) await write('status', 1, value);
    for (const [half, bits] of [low, high].entries()) {
      await write('driverFeatureSelect', 4, half);
      await write('driverFeature', 4, bits);
    }
    for (const value of values) {
      await write('status', 1, value);
      await status(`${label}, ${value}`);
    }
    for (const half of [0, 1]) {
      await write('driverFeatureSelect', 4, half);
      driver.note(`${label}, features ${half}`, await transport.common(COMMON.driverFeature, 4));
    }
  };
  await driver.find();
  const [low] = PLAIN;
  await attempt('without it', low, VERSION_1, [11, 15, 3, 11]);
  await attempt('all at once', low, VERSION_1, [15]);
  await attempt('with bits that nobody offers', low, VERSION_1 | 0x4000_0000, [11]);
  await attempt('neither, and no version 1', low, 0, [11, 15]);
  await attempt('with it', low, VERSION_1 | ACCESS_PLATFORM, [11, 15]);
  await attempt('changed once it was accepted', low, VERSION_1 | ACCESS_PLATFORM, [11]);
  await write('driverFeatureSelect', 4, 1);
  await write('driverFeature', 4, VERSION_1);
  driver.note('still', await transport.common(COMMON.driverFeature, 4));
  await write('status', 1, 11);
  await status('again');
  // And after all that it works.
  await driver.initialise([low, VERSION_1 | ACCESS_PLATFORM]);
  await driver.read(0, 512);
}

it('status and features, step by step', async () => {
  folder = await mkdtemp(join(tmpdir(), 'platter-negotiation-'));
  await writeFile(join(folder, 'disk.img'), new Uint8Array(BYTES));
  const qtest = await QTest.start(join(folder, 'q.sock'), [
    '-drive',
    `file=${join(folder, 'disk.img')},if=none,id=d0,format=raw`,
    '-device',
    'virtio-blk-pci,drive=d0,addr=4,disable-legacy=on,iommu_platform=on',
  ]);
  boards = [platterBoard(arrayNode(BYTES), { iommuPlatform: true }), qemuBoard(qtest)];
  const logs: (readonly string[])[] = [];
  for (const board of boards) {
    const driver = new ScriptDriver(board);
    await script(driver);
    logs.push(driver.log);
  }
  const [platter, qemu] = logs;
  expect(qemu).toContain('without it, 11 = 0x3');
  expect(platter).toEqual(qemu);
});

/** virtio-blk over MMIO, version 2 and legacy version 1: Platter's and that of QEMU's microvm, register by register. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { MMIO } from '#engine/virtio/transport/mmio-layout.ts';
import { platterMmioBoard, qemuBoard, type Board } from './board.ts';
import { MmioDriver } from './mmio-driver.ts';
import { QTest } from './qtest.ts';

const DISK_BYTES = 4 * 1024 * 1024;
const SERIAL = 'platter-mmio';
const LAST_SECTOR = DISK_BYTES / 512 - 1;

describe.each([
  { name: 'version 2', legacy: false },
  { name: 'version 1', legacy: true },
])('virtio-blk-device over MMIO, $name, beside QEMU', ({ legacy }) => {
  let folder: string;
  let boards: Board[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'platter-mmio-'));
    const content = new Uint8Array(DISK_BYTES).map((_, i) => (i >> 9) + i);
    await writeFile(join(folder, 'disk.img'), content);
    const options = [
      '-global',
      `virtio-mmio.force-legacy=${legacy ? 'on' : 'off'}`,
      '-drive',
      `file=${join(folder, 'disk.img')},if=none,id=d0,format=raw`,
      '-device',
      `virtio-blk-device,drive=d0,serial=${SERIAL}`,
    ];
    const qtest = await QTest.start(join(folder, 'q.sock'), options, 'microvm,ioapic2=off');
    const node = arrayNode(DISK_BYTES);
    node.disk.set(content);
    boards = [platterMmioBoard(node, { serial: SERIAL }, legacy), qemuBoard(qtest)];
    await qtest.ask('irq_intercept_in ioapic');
  });

  afterEach(async () => {
    for (const board of boards.splice(0)) await board.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function same(script: (driver: MmioDriver) => Promise<void>): Promise<void> {
    const logs: string[][] = [];
    for (const board of boards) {
      const driver = new MmioDriver(board, legacy);
      await script(driver);
      logs.push(driver.log);
    }
    const [platter, qemu] = logs;
    expect(qemu.length).toBeGreaterThan(0);
    expect(platter).toEqual(qemu);
  }

  it('registers at every width, selectors, sizes', async () => {
    await same(async (driver) => {
      await driver.noteRegisters('fresh');
      for (const half of [0, 1, 7]) {
        await driver.write(MMIO.deviceFeaturesSelect, half);
        driver.note(`offered ${half}`, await driver.read(MMIO.deviceFeatures));
      }
      for (const queue of [0, 1, 1023, 1024]) {
        await driver.write(MMIO.queueSelect, queue);
        driver.note(`queue ${queue} size`, await driver.read(MMIO.queueSizeMax));
        driver.note(`queue ${queue} ready`, await driver.read(MMIO.queueReady));
      }
      for (const status of [1, 3, 11, 0]) {
        await driver.write(MMIO.status, status);
        driver.note(`status ${status}`, await driver.read(MMIO.status));
      }
      await driver.write(MMIO.status, 1, 1);
      driver.note('status written as a byte', await driver.read(MMIO.status));
    });
  });

  it('requests, with the interrupt line and its acknowledgement', async () => {
    await same(async (driver) => {
      await driver.initialise(0x0000_0244, 1);
      await driver.request(0, 8, 4096);
      await driver.request(1, 3, new Uint8Array(1024).fill(0x5a));
      await driver.request(0, 3, 1024);
      await driver.request(8, 0, 20);
      await driver.request(0, LAST_SECTOR, 1024);
      await driver.request(99, 0, 512);
      await driver.noteRegisters('running');
    });
  });

  it('a reset in between, and another start', async () => {
    await same(async (driver) => {
      await driver.initialise(0x0000_0244, 1);
      await driver.request(0, 1, 512);
      await driver.write(legacy ? MMIO.queuePage : MMIO.status, 0);
      driver.note('status', await driver.read(MMIO.status));
      driver.note('page', await driver.read(MMIO.queuePage));
      await driver.initialise(0, 1);
      await driver.request(0, 2, 512);
    });
  });
});

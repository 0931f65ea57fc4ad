/** The legacy interface of virtio-blk-pci, transitional and legacy-only: Platter's and QEMU's, register by register. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { LEGACY } from '#engine/virtio/transport/legacy-header.ts';
import { CAP_AT } from '#engine/virtio/transport/pci-layout.ts';
import { platterBoard } from './blk-board.ts';
import { qemuBoard, type Board } from './board.ts';
import { LegacyDriver } from './legacy-driver.ts';
import { QTest } from './qtest.ts';

const DISK_BYTES = 4 * 1024 * 1024;
const SERIAL = 'platter-legacy';

const KINDS = [
  { name: 'transitional', options: '', modern: true, msix: CAP_AT.msix },
  { name: 'legacy only', options: ',disable-modern=on', modern: false, msix: CAP_AT.first },
] as const;

let folder = '';
let boards: Board[] = [];

async function machines(kind: (typeof KINDS)[number]): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), 'platter-legacy-'));
  const content = new Uint8Array(DISK_BYTES).map((_, i) => (i >> 9) ^ i);
  await writeFile(join(folder, 'disk.img'), content);
  const qtest = await QTest.start(join(folder, 'q.sock'), [
    '-drive',
    `file=${join(folder, 'disk.img')},if=none,id=d0,format=raw`,
    '-device',
    `virtio-blk-pci,drive=d0,addr=4,serial=${SERIAL}${kind.options}`,
  ]);
  const node = arrayNode(DISK_BYTES);
  node.disk.set(content);
  boards = [platterBoard(node, { serial: SERIAL }, { legacy: true, modern: kind.modern }), qemuBoard(qtest)];
  await qtest.ask('irq_intercept_in ioapic');
}

afterEach(async () => {
  for (const board of boards.splice(0)) await board.close();
  await rm(folder, { recursive: true, force: true });
});

async function same(script: (driver: LegacyDriver) => Promise<void>): Promise<void> {
  const logs: string[][] = [];
  for (const board of boards) {
    const driver = new LegacyDriver(board);
    await script(driver);
    logs.push(driver.log);
  }
  const [platter, qemu] = logs;
  expect(qemu.length).toBeGreaterThan(0);
  expect(platter).toEqual(qemu);
}

describe.each(KINDS)('$name virtio-blk-pci beside QEMU', (kind) => {
  it('discovery and registers, without and with MSI-X', async () => {
    await machines(kind);
    await same(async (driver) => {
      await driver.noteConfigSpace('fresh');
      await driver.assign();
      await driver.noteConfigSpace('assigned');
      await driver.noteRegisters('without msix');
      await driver.setConfig(kind.msix + 2, 2, 0x8000);
      await driver.noteRegisters('with msix', 0x48);
      for (const queue of [0, 1, 1023, 1024, 0]) {
        await driver.write(LEGACY.queueSelect, 2, queue);
        driver.note(`queue ${queue} select`, await driver.read(LEGACY.queueSelect, 2));
        driver.note(`queue ${queue} size`, await driver.read(LEGACY.queueSize, 2));
      }
      for (const features of [0xffff_ffff, 0x4000_0000, 0x0000_0244, 0]) {
        await driver.write(LEGACY.driverFeatures, 4, features);
        driver.note(`features ${features}`, await driver.read(LEGACY.driverFeatures, 4));
      }
    });
  });

  it.each(['line', 'messages'] as const)('requests with interrupts by %s', async (how) => {
    await machines(kind);
    await same(async (driver) => {
      await driver.assign();
      await driver.initialise(0x0000_0244);
      if (how === 'messages') await driver.enableMsix(kind.msix);
      await driver.start();
      await driver.request(0, 8, 4096);
      await driver.request(1, 3, new Uint8Array(1024).fill(0x5a));
      await driver.request(0, 3, 1024);
      await driver.request(4, 0, 0x200);
      await driver.request(8, 0, 20);
      await driver.request(0, DISK_BYTES / 512 - 1, 1024);
      await driver.request(99, 0, 512);
    });
  });

  it('page 0 resets; bus mastering that goes away stops it', async () => {
    await machines(kind);
    await same(async (driver) => {
      await driver.assign();
      await driver.setConfig(4, 2, 3);
      await driver.initialise(0x0000_0244);
      await driver.start();
      await driver.request(0, 1, 512);
      await driver.setConfig(4, 2, 3);
      driver.note('status without bus master', await driver.read(LEGACY.status, 1));
      await driver.setConfig(4, 2, 7);
      await driver.write(LEGACY.queueAddress, 4, 0);
      driver.note('status after page 0', await driver.read(LEGACY.status, 1));
      driver.note('features after page 0', await driver.read(LEGACY.driverFeatures, 4));
      driver.note('page after page 0', await driver.read(LEGACY.queueAddress, 4));
      await driver.initialise(0);
      await driver.start();
      await driver.request(0, 2, 512);
    });
  });
});

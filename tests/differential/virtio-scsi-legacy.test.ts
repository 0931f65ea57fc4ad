/** The legacy interface of virtio-scsi-pci, transitional and legacy-only: Platter's and QEMU's, register by register. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ScsiDisk } from '#engine/scsi/disk/disk.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { LEGACY } from '#engine/virtio/transport/legacy-header.ts';
import { CAP_AT } from '#engine/virtio/transport/pci-layout.ts';
import { qemuBoard, type Board } from './board.ts';
import { LegacyDriver } from './legacy-driver.ts';
import { QTest } from './qtest.ts';
import { platterScsiBoard } from './virtio-scsi-board.ts';

const DISK_BYTES = 1024 * 1024;

const KINDS = [
  { name: 'transitional', options: '', modern: true, msix: CAP_AT.msix },
  { name: 'legacy only', options: ',disable-modern=on', modern: false, msix: CAP_AT.first },
] as const;

let folder = '';
let boards: Board[] = [];

async function machines(kind: (typeof KINDS)[number]): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), 'platter-legacy-'));
  await writeFile(join(folder, 'disk.img'), new Uint8Array(DISK_BYTES));
  const qtest = await QTest.start(join(folder, 'q.sock'), [
    '-device',
    `virtio-scsi-pci,id=s0,addr=4,num_queues=2${kind.options}`,
    '-drive',
    `file=${join(folder, 'disk.img')},if=none,id=d0,format=raw`,
    '-device',
    'scsi-hd,bus=s0.0,drive=d0',
  ]);
  const { board, device } = platterScsiBoard({ numQueues: 2 }, { legacy: true, modern: kind.modern });
  device.attach(0, 0, new ScsiDisk({ node: arrayNode(DISK_BYTES), kind: 'disk', deviceId: 'd0' }));
  boards = [board, qemuBoard(qtest)];
  await qtest.ask('irq_intercept_in ioapic');
}

afterEach(async () => {
  for (const board of boards.splice(0)) await board.close();
  await rm(folder, { recursive: true, force: true });
});

describe.each(KINDS)('$name virtio-scsi-pci beside QEMU', (kind) => {
  it('discovery, registers, features, the sizes that the driver sets', async () => {
    await machines(kind);
    const logs: string[][] = [];
    for (const board of boards) {
      const driver = new LegacyDriver(board);
      await driver.noteConfigSpace('fresh');
      await driver.assign();
      await driver.noteConfigSpace('assigned');
      await driver.noteRegisters('without msix');
      for (const queue of [0, 1, 2, 3, 4]) {
        await driver.write(LEGACY.queueSelect, 2, queue);
        driver.note(`queue ${queue} size`, await driver.read(LEGACY.queueSize, 2));
      }
      for (const features of [0xffff_ffff, 0x6, 0]) {
        await driver.write(LEGACY.driverFeatures, 4, features);
        driver.note(`features ${features}`, await driver.read(LEGACY.driverFeatures, 4));
      }
      // Behind the header without MSI-X: sense_size and cdb_size.
      for (const [at, size] of [
        [20 + 20, 48],
        [20 + 24, 16],
      ]) {
        await driver.write(at, 4, size);
        driver.note(`size at ${at}`, await driver.read(at, 4));
      }
      await driver.setConfig(kind.msix + 2, 2, 0x8000);
      await driver.noteRegisters('with msix', 0x48);
      logs.push(driver.log);
    }
    const [platter, qemu] = logs;
    expect(qemu.length).toBeGreaterThan(100);
    expect(platter).toEqual(qemu);
  });
});

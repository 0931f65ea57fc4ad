/** The two machines of the virtio-scsi scripts: a disk, another one behind the same target, a CD-ROM, a disk with 4096-byte blocks. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { CdbReader } from '#engine/scsi/cdb.ts';
import { ScsiDisk } from '#engine/scsi/disk/disk.ts';
import { DIRECTION, transferBytes, transferDirection } from '#engine/scsi/transfer.ts';
import type { VirtioScsi } from '#engine/virtio/scsi/device.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { qemuBoard, type Board } from './board.ts';
import { Qmp } from './qmp.ts';
import { QTest } from './qtest.ts';
import { platterScsiBoard, platterScsiMmioBoard } from './virtio-scsi-board.ts';
import { pattern } from './virtio-scsi-cases.ts';
import { compared } from './virtio-scsi-differences.ts';
import { ScsiScriptDriver, type ScsiConnection } from './virtio-scsi-driver.ts';

export const DISK_BYTES = 4 * 1024 * 1024;
export const CD_BYTES = 1024 * 1024;
/** Target and LUN of each unit: a disk, another one behind the same target, a CD-ROM, a 4096-byte disk at a LUN past 255. */
export const DISK = { target: 0, lun: 0 };
export const SECOND = { target: 0, lun: 3 };
export const CD = { target: 1, lun: 0 };
export const LARGE = { target: 2, lun: 300 };

export interface ScsiMachines {
  connection: ScsiConnection;
  boards: readonly Board[];
  /** Platter's device, and the way to tell QEMU. */
  platter: VirtioScsi;
  qmp: Qmp;
  close(): Promise<void>;
}

/** The machine types on which QEMU has the transports, and the device's option. */
const QEMU = {
  pci: { machine: 'q35', option: 'virtio-scsi-pci,id=s0,addr=4,disable-legacy=on', globals: [] },
  mmio: {
    machine: 'microvm,ioapic2=off',
    option: 'virtio-scsi-device,id=s0',
    globals: ['-global', 'virtio-mmio.force-legacy=off'],
  },
} as const;

export async function scsiMachines(
  connection: ScsiConnection = { transport: 'pci', packed: false },
): Promise<ScsiMachines> {
  const folder = await mkdtemp(join(tmpdir(), 'platter-qtest-'));
  const { packed } = connection;
  const { machine, option, globals } = QEMU[connection.transport];
  const { board, device } =
    connection.transport === 'pci' ? platterScsiBoard({ packed }) : platterScsiMmioBoard({ packed });
  const args = [...globals, '-device', `${option},packed=${packed ? 'on' : 'off'}`];
  const image = async (id: string, bytes: number, seed: number): Promise<ReturnType<typeof arrayNode>> => {
    const content = pattern(bytes, seed);
    await writeFile(join(folder, `${id}.img`), content);
    args.push('-drive', `file=${join(folder, `${id}.img`)},if=none,id=${id},format=raw`);
    const node = arrayNode(bytes);
    node.disk.set(content);
    return node;
  };
  const disk = await image('d0', DISK_BYTES, 1);
  args.push('-device', 'scsi-hd,bus=s0.0,drive=d0,scsi-id=0,lun=0,serial=platter-1,wwn=0x5000c50015ea71ac');
  device.attach(
    0,
    0,
    new ScsiDisk({
      node: disk,
      kind: 'disk',
      serial: 'platter-1',
      wwn: 0x5000_c500_15ea_71acn,
      unmap: false,
    }),
  );
  const second = await image('d1', DISK_BYTES / 4, 2);
  args.push('-device', 'scsi-hd,bus=s0.0,drive=d1,scsi-id=0,lun=3,rotation_rate=1,dpofua=on');
  device.attach(
    0,
    3,
    new ScsiDisk({ node: second, kind: 'disk', deviceId: 'd1', rotationRate: 1, dpofua: true, unmap: false }),
  );
  const cd = await image('d2', CD_BYTES, 3);
  args.push('-device', 'scsi-cd,bus=s0.0,drive=d2,scsi-id=1,lun=0');
  device.attach(1, 0, new ScsiDisk({ node: cd, kind: 'cdrom', deviceId: 'd2', unmap: false }));
  const large = await image('d3', DISK_BYTES, 4);
  args.push(
    '-device',
    'scsi-hd,bus=s0.0,drive=d3,scsi-id=2,lun=300,logical_block_size=4096,physical_block_size=4096,device_id=large',
  );
  device.attach(
    2,
    300,
    new ScsiDisk({
      node: large,
      kind: 'disk',
      deviceId: 'large',
      logicalBlockSize: 4096,
      physicalBlockSize: 4096,
      unmap: false,
    }),
  );
  // Disks that come while the driver is up, and one that grows.
  await writeFile(join(folder, 'd4.img'), pattern(65536, 5));
  args.push('-blockdev', `driver=file,filename=${join(folder, 'd4.img')},node-name=n4`);
  args.push('-qmp', `unix:${join(folder, 'qmp.sock')},server=on,wait=off`);
  const qtest = await QTest.start(join(folder, 'q.sock'), args, machine);
  // The lines of MMIO; messages go to memory.
  if (connection.transport === 'mmio') await qtest.ask('irq_intercept_in ioapic');
  const qmp = await Qmp.connect(join(folder, 'qmp.sock'));
  const boards = [board, qemuBoard(qtest)];
  const close = async (): Promise<void> => {
    qmp.close();
    for (const each of boards) await each.close();
    await rm(folder, { recursive: true, force: true });
  };
  return { connection, boards, platter: device, qmp, close };
}

/** Runs the script on both, after a reset of the device, and compares what they answered. */
export async function same(
  { boards, connection }: ScsiMachines,
  script: (driver: ScsiScriptDriver) => Promise<void>,
): Promise<void> {
  const logs: string[][] = [];
  for (const board of boards) {
    const driver = new ScsiScriptDriver(board, connection);
    await driver.start();
    await script(driver);
    logs.push(compared(driver.log));
  }
  const [platter, qemu] = logs;
  expect(qemu.length).toBeGreaterThan(5);
  expect(platter).toEqual(qemu);
}

/** Takes the unit attention of a reset away. */
export async function ready(driver: ScsiScriptDriver, unit: { target: number; lun: number }): Promise<void> {
  await driver.command({ cdb: [0, 0, 0, 0, 0, 0], ...unit });
}

/** A disk comes, or goes, at target 5. */
export async function lateDisk(
  { platter, qmp }: ScsiMachines,
  { board }: ScsiScriptDriver,
  there: boolean,
): Promise<void> {
  if (board.name === 'qemu') {
    if (there) await plug(qmp);
    else await qmp.ask('device_del', { id: 'late' });
    return;
  }
  if (there) platter.attach(5, 0, new ScsiDisk({ node: arrayNode(65536), kind: 'disk', unmap: false }));
  else platter.detach(5, 0);
  platter.process();
}

/** The last one may not be quite gone yet: QEMU frees a device after the command that removes it. */
async function plug(qmp: Qmp): Promise<void> {
  const device = { driver: 'scsi-hd', id: 'late', bus: 's0.0', 'scsi-id': 5, lun: 0, drive: 'n4' };
  for (let tries = 200; ; tries--) {
    try {
      await qmp.ask('device_add', device);
      return;
    } catch (error) {
      if (tries === 0) throw error;
      await sleep(10);
    }
  }
}

/** How many bytes a command moves, and which way, on a unit with blocks of `block` bytes; `type`: 0 a disk, 5 a CD-ROM. */
export function bytesOfCommand(
  source: Uint8Array,
  block: number,
  type: 0 | 5,
): { bytes: number; toDevice: boolean } {
  const cdb = new CdbReader();
  const count = cdb.load(source, 0, source.length) ? transferBytes(cdb, block, type) : 0;
  return { bytes: count, toDevice: transferDirection(cdb, count) === DIRECTION.toDevice };
}

/** What Platter's IDE and AHCI controllers do where they are not compared with QEMU's: each difference of the list, shown. */
import { expect, it } from 'vitest';
import { PORT, PXCMD } from '#engine/ide/ahci/registers.ts';
import { CMD, STATUS } from '#engine/ide/ata.ts';
import {
  AhciRig,
  AT,
  BUS_MASTER,
  DISC_BYTES,
  DISK_BYTES,
  IdeRig,
  lateNode,
} from '#engine/ide/testing/rig.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { IDE_DIFFERENCES, type IdeDifferenceId } from './ide-differences.ts';

const SHOWN: Record<IdeDifferenceId, () => Promise<void> | void> = {
  'no-tracks': () => {
    const rig = new IdeRig(arrayNode(DISK_BYTES));
    rig.command(0, CMD.initializeParameters, 0xa0, 0, 0);
    rig.command(0, CMD.readNativeMax, 0xa0, 0, 0);
    expect([rig.status(0), rig.in(0, 1)]).toEqual([0x41, 0x04]);
  },
  'limit-of-one': () => {
    const rig = new IdeRig(arrayNode(DISK_BYTES));
    rig.packet([0x12, 0, 0, 0, 36], 1);
    expect([rig.status(1), rig.in(1, 1)]).toEqual([0x41, 0x04]);
  },
  'wide-access': () => {
    const disc = arrayNode(DISC_BYTES, true);
    disc.disk.fill(0x11, 0, 2048).fill(0x22, 2048, 4096);
    const rig = new IdeRig(arrayNode(DISK_BYTES), disc);
    rig.packet([0x28, 0, 0, 0, 0, 0, 0, 0, 2], 0xfffe);
    for (let i = 0; i < 1023; i++) rig.in(1, 0, 2);
    expect(rig.in(1, 0, 4)).toBe(0x2222_1111);
  },
  registers: () => {
    const rig = new IdeRig(arrayNode(DISK_BYTES));
    const written: number[] = [];
    const range = {
      name: 'a device',
      size: 0x1000,
      read: () => 0,
      write: (at: number) => void written.push(at),
    };
    rig.space.map(0xfe00_0000, range);
    rig.command(0, CMD.readDma, 0xe0, 1, 0);
    rig.table(0, [0xfe00_0000, 512]);
    rig.master(0, 0, 9);
    expect([rig.status(0), written]).toEqual([0x50, []]);
  },
  'short-table': () => {
    const rig = new AhciRig(arrayNode(DISK_BYTES));
    rig.start();
    rig.command([CMD.readDma, 0, 0, 0, 0, 0xe0, 0, 0, 0, 0, 1], []);
    expect([rig.port(PORT.tfd), rig.port(PORT.ci)]).toEqual([0x50, 0]);
  },
  'no-master': () => {
    const rig = new AhciRig(arrayNode(DISK_BYTES));
    rig.device.pci.write(4, 2, 2);
    rig.start();
    expect(rig.port(PORT.cmd) & (PXCMD.start | PXCMD.listRunning)).toBe(0);
  },
  'in-flight': async () => {
    const node = lateNode(DISK_BYTES);
    const rig = new IdeRig(node);
    rig.command(0, CMD.readDma, 0xe0, 1, 0);
    rig.table(0, [AT.data, 512]);
    rig.master(0, 0, 9);
    rig.master(0, 0, 8);
    const active = rig.io.read(BUS_MASTER + 2, 1);
    rig.control(0, 4);
    const during = rig.status(0) & STATUS.bsy;
    await node.release();
    rig.device.process();
    const after = [rig.io.read(BUS_MASTER + 2, 1) & 1, rig.status(0)];
    expect([active & 1, during, after]).toEqual([1, STATUS.bsy, [0, 0x50]]);
  },
};

it.each(IDE_DIFFERENCES)('$what', async ({ id, reason }) => {
  expect(reason).not.toBe('');
  await SHOWN[id]();
});

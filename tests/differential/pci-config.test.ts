/** The enhanced configuration mechanism (ECAM) and BARs that move, on Platter's PCI root and on QEMU's q35. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ECAM_BASE } from '#engine/machine/pci/root.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { COMMON, REGION } from '#engine/virtio/transport/pci-layout.ts';
import { platterBoard } from './blk-board.ts';
import { qemuBoard, SLOT, type Board } from './board.ts';
import { ScriptDriver } from './driver.ts';
import { BAR_BASE, MSIX_BASE } from './pci-transport.ts';
import { QTest } from './qtest.ts';

const DISK_BYTES = 1024 * 1024;
/** PCIEXBAR of q35's host bridge: where ECAM is, which firmware says (Intel 3 Series datasheet, section 5.1.17). */
const PCIEXBAR = 0x60;
const ENABLE = 1;
const FUNCTION_AT = ECAM_BASE + SLOT * 8 * 4096;

let folder = '';
const boards: Board[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platter-ecam-'));
  await writeFile(join(folder, 'disk.img'), new Uint8Array(DISK_BYTES));
  const qtest = await QTest.start(join(folder, 'q.sock'), [
    '-drive',
    `file=${join(folder, 'disk.img')},if=none,id=d0,format=raw`,
    '-device',
    `virtio-blk-pci,drive=d0,addr=${SLOT},disable-legacy=on`,
  ]);
  for (const [offset, value] of [
    [PCIEXBAR + 4, 0],
    [PCIEXBAR, ECAM_BASE | ENABLE],
  ]) {
    await qtest.ask(`outl 0xcf8 0x${(0x8000_0000 + offset).toString(16)}`);
    await qtest.ask(`outl 0xcfc 0x${(value >>> 0).toString(16)}`);
  }
  boards.push(platterBoard(arrayNode(DISK_BYTES), {}), qemuBoard(qtest));
});
afterAll(async () => {
  for (const board of boards) await board.close();
  await rm(folder, { recursive: true, force: true });
});

async function same(script: (driver: ScriptDriver) => Promise<void>): Promise<void> {
  const logs: (readonly string[])[] = [];
  for (const board of boards) {
    const driver = new ScriptDriver(board);
    await driver.transport.assign();
    await script(driver);
    logs.push(driver.log);
  }
  expect(logs[1].length).toBeGreaterThan(10);
  expect(logs[0]).toEqual(logs[1]);
}

it('ECAM shows what mechanism 1 shows, at every width, and takes what is written', async () => {
  await same(async (driver) => {
    const { board, transport } = driver;
    for (const size of [1, 2, 4] as const)
      for (let at = 0; at < 256; at += size)
        driver.note(`ecam ${size} ${at}`, await board.read(FUNCTION_AT + at, size));
    // A conventional function has no extended space; other functions and slots are not there.
    for (const at of [256, 2048, 4092, 4096, 7 * 4096, 8 * 4096, 20 * 8 * 4096])
      driver.note(`nothing at ${at}`, await board.read(FUNCTION_AT + at, 4));
    await board.write(FUNCTION_AT + 0x3c, 1, 0x5a);
    driver.note('line by ports', await transport.config(0x3c, 1));
    await transport.setConfig(0x3c, 1, 0xa5);
    driver.note('line by ECAM', await board.read(FUNCTION_AT + 0x3c, 1));
    for (const bar of [0, 1, 4, 5]) {
      const was = await board.read(FUNCTION_AT + 0x10 + bar * 4, 4);
      await board.write(FUNCTION_AT + 0x10 + bar * 4, 4, 0xffff_ffff);
      driver.note(`bar ${bar}`, await board.read(FUNCTION_AT + 0x10 + bar * 4, 4));
      await board.write(FUNCTION_AT + 0x10 + bar * 4, 4, was);
    }
    await board.write(FUNCTION_AT, 4, 0);
    driver.note('read-only', await board.read(FUNCTION_AT, 4));
  });
});

it('a BAR that moves takes the registers along, and memory decoding switches them off and on', async () => {
  await same(async (driver) => {
    const { board, transport } = driver;
    const queues = (base: number): Promise<number> => board.read(base + REGION.common + COMMON.numQueues, 2);
    driver.note('in the first place', await queues(BAR_BASE));
    await transport.setStatus(1);
    for (const base of [0xe400_0000, 0xd000_4000, 0xe000_8000]) {
      await transport.setConfig(0x20, 4, base);
      driver.note(`at ${base}`, await queues(base));
      driver.note('status moved along', await board.read(base + REGION.common + COMMON.status, 1));
      driver.note('bar', await transport.config(0x20, 4));
    }
    await transport.setConfig(0x20, 4, BAR_BASE);
    // Above 4 GiB, and back.
    await transport.setConfig(0x24, 4, 1);
    driver.note('above', await queues(BAR_BASE + 0x1_0000_0000));
    await transport.setConfig(0x24, 4, 0);
    driver.note('back', await queues(BAR_BASE));
    await transport.setConfig(0x14, 4, MSIX_BASE + 0x10_0000);
    await board.write(MSIX_BASE + 0x10_0000 + 8, 4, 0x1234);
    driver.note('vector data', await board.read(MSIX_BASE + 0x10_0000 + 8, 4));
    await transport.setConfig(4, 2, 0);
    await transport.setConfig(4, 2, 7);
    driver.note('decoding again', await queues(BAR_BASE));
    driver.note('vector data', await board.read(MSIX_BASE + 0x10_0000 + 8, 4));
  });
});

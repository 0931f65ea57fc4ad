/** One script, two controllers: Platter's AHCI and QEMU's ich9-ahci, register by register and FIS by FIS. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Random } from '#engine/guest/workload.ts';
import { PORT, PXCMD } from '#engine/ide/ahci/registers.ts';
import { CMD } from '#engine/ide/ata.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { platterQ35 } from './ahci-board.ts';
import { AhciScript, DATA_AT, MESSAGES, WINDOW_AT } from './ahci-driver.ts';
import { qemuBoard, type Board } from './board.ts';
import { QTest } from './qtest.ts';

const DISK = 8 * 1024 * 1024;
const DISC = 512 * 1024;
const SECTORS = DISK / 512;

function content(bytes: number, seed: number): Uint8Array {
  const data = new Uint8Array(bytes);
  const words = new Uint32Array(data.buffer);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + seed, 2654435761) ^ 0x5bd1e995;
  return data;
}

const NAMES = ['disk', 'disc'];
const CONTENT = [content(DISK, 1), content(DISC, 3)];

let folder: string;
let boards: Board[] = [];
let disk: Uint8Array;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platter-ahci-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  await Promise.all(NAMES.map((name, i) => writeFile(join(folder, name), CONTENT[i])));
  const drive = (name: string): string[] => [
    '-drive',
    `file=${join(folder, name)},if=none,id=${name},format=raw,discard=unmap`,
  ];
  const devices = ['ide-hd,drive=disk,bus=ide.0', 'ide-cd,drive=disc,bus=ide.2'].flatMap((device) => [
    '-device',
    device,
  ]);
  const qtest = await QTest.start(join(folder, 'q.sock'), [...NAMES.flatMap(drive), ...devices]);
  await qtest.ask('irq_intercept_in ioapic');
  const nodes = CONTENT.map((bytes, i) => {
    const node = arrayNode(bytes.length, i === 1);
    node.disk.set(bytes);
    return node;
  });
  disk = nodes[0].disk;
  boards = [
    platterQ35([{ kind: 'hd', node: nodes[0], unmap: true }, undefined, { kind: 'cd', node: nodes[1] }]),
    qemuBoard(qtest),
  ];
});

afterEach(async () => {
  for (const board of boards) await board.close();
});

async function same(script: (driver: AhciScript) => Promise<void>): Promise<void> {
  const logs: string[][] = [];
  for (const board of boards) {
    const driver = new AhciScript(board);
    await script(driver);
    logs.push(driver.log);
  }
  const [platter, qemu] = logs;
  expect(qemu.length).toBeGreaterThan(0);
  expect(platter).toEqual(qemu);
}

const piece = (offset: number, bytes: number) => ({ address: DATA_AT + offset, bytes });

describe('the AHCI controller beside QEMU', () => {
  it('discovery: configuration space, capabilities, the controller', async () => {
    await same(async (driver) => {
      for (let at = 0; at < 256; at += 4) driver.note(`config ${at}`, await driver.config(at, 4));
      for (let bar = 0; bar < 6; bar++) {
        await driver.setConfig(0x10 + bar * 4, 4, 0xffff_ffff);
        driver.note(`bar ${bar}`, await driver.config(0x10 + bar * 4, 4));
        await driver.setConfig(0x10 + bar * 4, 4, 0);
      }
      await driver.setConfig(0x80, 4, 0xffff_ffff);
      for (let at = 0x80; at < 0xb0; at += 4) driver.note(`capability ${at}`, await driver.config(at, 4));
      await driver.setConfig(0x82, 2, 0);
      await driver.assign();
      for (let at = 0; at < 0x100; at += 4) driver.note(`global ${at}`, await driver.global(at));
      for (let at = 0; at < 8; at++) driver.note(`byte ${at}`, await driver.global(at, 1));
      for (const at of [0, 2, 4, 6]) driver.note(`half ${at}`, await driver.global(at, 2));
      for (driver.port = 0; driver.port < 7; driver.port++) await driver.noteRegisters(`port ${driver.port}`);
    });
  });

  it('registers: writing them, reset of the controller, the window', async () => {
    await same(async (driver) => {
      await driver.assign();
      for (const value of [0xffff_fffe, 0, 2]) {
        for (const at of [0, 4, 8, 0xc, 0x10, 0x24]) await driver.setGlobal(at, value);
        for (const at of [0, 4, 8, 0xc, 0x10, 0x24]) driver.note(`global ${at}`, await driver.global(at));
      }
      for (const port of [0, 1, 2]) {
        driver.port = port;
        for (let at = 0; at < 0x80; at += 4) {
          if (at === PORT.cmd) continue;
          await driver.setRegister(at, 0xffff_ffff);
        }
        await driver.noteRegisters('all ones');
        await driver.setRegister(PORT.sctl, 1);
        await driver.setRegister(PORT.sctl, 0);
        await driver.noteRegisters('COMRESET');
        await driver.setRegister(PORT.cmd, 0xffff_ffee);
        await driver.noteRegisters('command');
      }
      await driver.board.portWrite(WINDOW_AT + 0x10, 4, 0x104);
      driver.note('index', await driver.board.portRead(WINDOW_AT + 0x10, 4));
      await driver.board.portWrite(WINDOW_AT + 0x14, 4, 0x1234);
      driver.note('data', await driver.board.portRead(WINDOW_AT + 0x14, 4));
      driver.note('nothing', await driver.board.portRead(WINDOW_AT, 4));
      await driver.setGlobal(4, 1);
      for (driver.port = 0; driver.port < 3; driver.port++) await driver.noteRegisters('reset');
      driver.note('GHC', await driver.global(4));
    });
  });

  it.each([
    ['INTx', false],
    ['MSI', true],
  ])('commands with %s: IDENTIFY, PIO, DMA, without data, errors', async (_, msi) => {
    await same(async (driver) => {
      await driver.assign();
      await driver.board.write(MESSAGES, 4, 0);
      if (msi) await driver.enableMsi();
      await driver.start();
      await driver.run({ command: CMD.identify, pieces: [piece(0, 512)] });
      await driver.run(
        { command: CMD.read, count: 2, lba: 5, pieces: [piece(0, 600), piece(0x800, 424)] },
        3,
      );
      await driver.run({
        command: CMD.readExt,
        count: 1,
        lba: SECTORS - 1,
        device: 0x40,
        pieces: [piece(0, 512)],
      });
      await driver.run({ command: CMD.readDma, count: 8, lba: 7, pieces: [piece(0, 4096)] }, 31);
      await driver.run({
        command: CMD.readDmaExt,
        count: 16,
        lba: 9,
        device: 0x40,
        pieces: [piece(0, 1024), piece(0x2000, 3072), piece(0x4000, 8192)],
      });
      await driver.board.writeBytes(DATA_AT, content(8192, 9));
      await driver.run({ command: CMD.write, count: 3, lba: 40, write: true, pieces: [piece(0, 1536)] });
      await driver.run({ command: CMD.writeDma, count: 8, lba: 50, write: true, pieces: [piece(512, 4096)] });
      await driver.run({
        command: CMD.writeDmaExt,
        count: 4,
        lba: 60,
        device: 0x40,
        write: true,
        pieces: [piece(0, 2048)],
      });
      await driver.run({ command: CMD.readDma, count: 32, lba: 38, pieces: [piece(0x8000, 16384)] });
      await driver.run({ command: CMD.setMultiple, count: 4 });
      await driver.run({ command: CMD.readMultiple, count: 6, lba: 40, pieces: [piece(0, 3072)] });
      await driver.run({
        command: CMD.writeMultiple,
        count: 6,
        lba: 70,
        write: true,
        pieces: [piece(0, 3072)],
      });
      for (const command of [
        CMD.flushCache,
        CMD.flushCacheExt,
        CMD.checkPower,
        CMD.readNativeMax,
        CMD.verify,
        0xff,
      ])
        await driver.run({ command, count: 2 });
      await driver.run({ command: CMD.setFeatures, feature: 3, count: 0x45 });
      await driver.run({ command: CMD.smart, feature: 0xd0, lba: 0xc2_4f00, pieces: [piece(0, 512)] });
      await driver.run({ command: CMD.diagnose }, 0, 0);
      await driver.run({ command: CMD.packet });
      await driver.run({ command: CMD.readDma, count: 4, lba: SECTORS - 2, pieces: [piece(0, 2048)] });
      await driver.run({ command: CMD.read, count: 4, lba: SECTORS - 2, pieces: [piece(0, 2048)] });
      await driver.run({ command: CMD.readDma, count: 4, lba: 2, pieces: [piece(0, 1024)] });
      await driver.run({ command: CMD.readDma, count: 1, lba: 2, pieces: [piece(0, 1024)] });
      await driver.run({ command: CMD.read, count: 2, lba: 2, pieces: [piece(0, 512)] });
      await driver.board.writeBytes(DATA_AT, Uint8Array.of(100, 0, 0, 0, 0, 0, 4, 0));
      await driver.run({
        command: CMD.dataSetManagement,
        feature: 1,
        count: 1,
        device: 0x40,
        write: true,
        pieces: [piece(0, 512)],
      });
      await driver.run({ command: CMD.readDma, count: 8, lba: 98, pieces: [piece(0, 4096)] });
    });
  });

  it('FISes: not for us, reserved flags, other types; software reset', async () => {
    await same(async (driver) => {
      await driver.assign();
      await driver.start();
      await driver.run({ command: CMD.identify, fis: { 1: 0x81 }, pieces: [piece(0, 512)] }, 0, 0);
      await driver.run({ command: CMD.identify, fis: { 1: 0xc0 }, pieces: [piece(0, 512)] }, 0, 0);
      await driver.run({ command: CMD.identify, fis: { 0: 0x46 }, pieces: [piece(0, 512)] }, 0, 0);
      await driver.run({ command: 0, fis: { 1: 0, 15: 4 } }, 0, 0);
      await driver.run({ command: 0, fis: { 1: 0, 15: 4 } }, 0, 0);
      await driver.run({ command: 0, fis: { 1: 0, 15: 0 } }, 0, 0);
      await driver.run({ command: 0, fis: { 1: 0, 15: 0 } }, 0, 0);
      await driver.run({ command: CMD.identify, pieces: [piece(0, 512)] });
      await driver.setRegister(PORT.sctl, 1);
      await driver.setRegister(PORT.sctl, 0);
      await driver.noteRegisters('COMRESET');
      await driver.noteReceived('COMRESET');
      await driver.setRegister(PORT.cmd, PXCMD.fisReceive);
      await driver.noteRegisters('stopped');
      await driver.setRegister(PORT.ci, 1);
      await driver.noteRegisters('issued to a stopped list');
      await driver.setRegister(PORT.cmd, PXCMD.fisReceive | PXCMD.start);
      await driver.wait(1);
      await driver.noteRegisters('started again');
      await driver.setGlobal(4, 1);
      await driver.noteRegisters('controller reset');
    });
  });

  it('NCQ: reads and writes by tag, past the end, too little memory, unknown commands', async () => {
    await same(async (driver) => {
      await driver.assign();
      await driver.start();
      const read = (lba: number, count: number, offset: number) => ({
        command: CMD.readFpdmaQueued,
        lba,
        count,
        pieces: [piece(offset, count * 512)],
      });
      await driver.queued([read(3, 2, 0)]);
      await driver.board.writeBytes(DATA_AT + 0x1_0000, content(8192, 5));
      await driver.queued([{ ...read(200, 8, 0x1_0000), command: CMD.writeFpdmaQueued }]);
      await driver.queued([read(198, 12, 0)]);
      await driver.queued([
        { ...read(10, 4, 0), pieces: [piece(0, 1000), piece(0x1000, 48), piece(0x2000, 1000)] },
      ]);
      await driver.queued([read(SECTORS - 2, 4, 0)]);
      await driver.setRegister(PORT.sctl, 1);
      await driver.setRegister(PORT.sctl, 0);
      await driver.noteRegisters('after the error');
      await driver.queued([{ ...read(10, 4, 0), pieces: [piece(0, 512)] }]);
      await driver.setRegister(PORT.sctl, 1);
      await driver.setRegister(PORT.sctl, 0);
      await driver.queued([{ ...read(10, 1, 0), command: CMD.ncqNonData }], 0);
      await driver.setRegister(PORT.sctl, 1);
      await driver.setRegister(PORT.sctl, 0);
      await driver.queued([read(10, 4, 0)]);
    });
  });

  it('NCQ: many at once leave the same data', async () => {
    await same(async (driver) => {
      await driver.assign();
      await driver.start();
      const tasks = Array.from({ length: 32 }, (_, i) => ({
        command: i % 3 === 2 ? CMD.writeFpdmaQueued : CMD.readFpdmaQueued,
        lba: i * 16,
        count: 8,
        pieces: [piece(i * 4096, 4096)],
      }));
      await driver.board.writeBytes(DATA_AT, content(32 * 4096, 6));
      for (const [slot, task] of tasks.entries())
        await driver.prepare(slot, { ...task, feature: 8, count: slot << 3, device: 0x40 });
      await driver.setRegister(PORT.sact, 0xffff_ffff);
      await driver.setRegister(PORT.ci, 0xffff_ffff);
      await driver.wait(-1);
      driver.note('CI', await driver.register(PORT.ci));
      driver.note('SACT', await driver.register(PORT.sact));
      driver.note('TFD', await driver.register(PORT.tfd));
      driver.note('data', await driver.board.readBytes(DATA_AT, 32 * 4096));
    });
    expect((await readFile(join(folder, 'disk'))).equals(disk)).toBe(true);
  });

  it('a CD-ROM: packets by PIO and DMA', async () => {
    await same(async (driver) => {
      await driver.assign();
      driver.port = 2;
      await driver.start();
      const packet = (bytes: number[], length: number, dma: boolean) => ({
        command: CMD.packet,
        feature: dma ? 1 : 0,
        lba: 0xfffe << 8,
        device: 0xa0,
        packet: bytes,
        pieces: [piece(0, length)],
      });
      await driver.run({ command: CMD.identifyPacket, pieces: [piece(0, 512)] });
      await driver.run({ command: CMD.identify, pieces: [piece(0, 512)] });
      for (const dma of [false, true]) {
        await driver.board.writeBytes(DATA_AT, new Uint8Array(0x8000));
        await driver.run(packet([0], 512, dma));
        await driver.run(packet([0x12, 0, 0, 0, 36], 36, dma));
        await driver.run(packet([0x25], 8, dma));
        await driver.run(packet([0x28, 0, 0, 0, 0, 7, 0, 0, 5], 5 * 2048, dma));
        await driver.run(packet([0x43, 0, 0, 0, 0, 0, 0, 0, 20, 0], 20, dma));
        await driver.run(packet([0x28, 0, 0, 0, 1, 7, 0, 0, 5], 5 * 2048, dma));
        await driver.run(packet([0x03, 0, 0, 0, 18], 18, dma));
        await driver.run(packet([0xee], 18, dma));
      }
    });
  });
});

describe('random scripts', () => {
  const scripts = Number(process.env['PLATTER_AHCI_SCRIPTS'] ?? 3);
  it.each(Array.from({ length: scripts }, (_, i) => i + 1))('seed %i', async (seed) => {
    await same(async (driver) => {
      const random = new Random(seed);
      const pick = (most: number): number => Math.floor(random.next() * most);
      const writes: number[] = [CMD.write, CMD.writeDma, CMD.writeDmaExt, CMD.writeMultiple];
      const codes: number[] = [
        ...writes,
        CMD.read,
        CMD.readDma,
        CMD.readDmaExt,
        CMD.readMultiple,
        CMD.identify,
        CMD.flushCache,
        CMD.checkPower,
        CMD.setMultiple,
        CMD.smart,
        CMD.readNativeMax,
        CMD.verify,
        CMD.setFeatures,
        0x77,
      ];
      await driver.assign();
      await driver.start();
      await driver.board.writeBytes(DATA_AT, content(0x4_0000, seed));
      for (let step = 0; step < 60; step++) {
        const count = 1 + pick(8);
        const lba = pick(8) === 0 ? SECTORS - pick(10) : pick(100);
        const cut = 1 + pick(count * 512 - 1);
        const whole = pick(3) !== 0;
        const pieces = whole
          ? [piece(pick(64) * 4096, count * 512)]
          : [piece(pick(16) * 512, cut), piece(0x2_0000 + pick(99), count * 512 - cut)];
        if (pick(4) === 0) {
          const command = pick(2) === 0 ? CMD.readFpdmaQueued : CMD.writeFpdmaQueued;
          await driver.queued([{ command, lba, count, pieces }]);
        } else {
          const command = codes[pick(codes.length)];
          const write = writes.includes(command);
          await driver.run({ command, lba, count, pieces, write, device: 0xe0, feature: pick(4) }, pick(32));
        }
        // A queued command that follows an error would be compared while it still runs.
        if (pick(12) !== 0 && ((await driver.register(PORT.tfd)) & 1) === 0) continue;
        await driver.setRegister(PORT.sctl, 1);
        await driver.setRegister(PORT.sctl, 0);
      }
    });
    expect((await readFile(join(folder, 'disk'))).equals(disk)).toBe(true);
  });
});

/** One script, two controllers: Platter's PIIX IDE with its disks and QEMU's, register by register. */
import { describe, it } from 'vitest';
import { CMD } from '#engine/ide/ata.ts';
import { IDE_MODELS } from './ide-board.ts';
import { DATA_AT } from './ide-driver.ts';
import { CHS, content, LBA, machinesForEach, same, SECOND, SECTORS } from './ide-machines.ts';

const data = (sectors: number, seed = 7): Uint8Array => content(sectors * 512, seed);

describe.each(IDE_MODELS)('%s beside QEMU', (model) => {
  const machines = machinesForEach(model);

  it('discovery: configuration space and the bus master', async () => {
    await same(machines(), async (driver) => {
      for (let at = 0; at < 256; at += 4) driver.note(`config ${at}`, await driver.config(at, 4));
      for (let bar = 0; bar < 6; bar++) {
        await driver.setConfig(0x10 + bar * 4, 4, 0xffff_ffff);
        driver.note(`bar ${bar}`, await driver.config(0x10 + bar * 4, 4));
      }
      await driver.assign();
      for (const channel of [0, 1] as const) {
        driver.channel = channel;
        for (let at = 0; at < 8; at++) driver.note(`master ${at}`, await driver.master(at));
        for (const at of [0, 2, 4, 6]) driver.note(`master word ${at}`, await driver.master(at, 2));
        await driver.setMaster(4, 0x1234_5677, 4);
        await driver.setMaster(5, 0xab);
        driver.note('table', await driver.master(4, 4));
        for (const value of [0xff, 0x60, 0x06, 0]) {
          await driver.setMaster(2, value);
          driver.note(`status ${value}`, await driver.master(2));
        }
        for (const value of [0x08, 0xf6, 0]) {
          await driver.setMaster(0, value);
          driver.note(`command ${value}`, await driver.master(0));
        }
      }
    });
  });

  it('registers after reset, with each drive selected, and writing them', async () => {
    await same(machines(), async (driver) => {
      await driver.assign();
      for (const channel of [0, 1] as const) {
        driver.channel = channel;
        for (const device of [0, 0x10]) {
          await driver.noteRegisters('fresh');
          await driver.out(6, device);
          await driver.noteRegisters(`device ${device}`);
        }
        for (let register = 1; register < 7; register++) {
          for (const value of [0x12, 0x34]) await driver.out(register, value + register);
        }
        await driver.noteRegisters('written');
        await driver.control(0x80);
        await driver.noteRegisters('before');
        await driver.out(3, 0x55);
        await driver.noteRegisters('high order byte');
        driver.note('data', await driver.in(0));
        driver.note('data', await driver.in(0, 2));
        driver.note('word', await driver.in(2, 2));
        driver.note('long', await driver.in(4, 4));
        await driver.out(2, 0x4321, 2);
        await driver.noteRegisters('a word written');
      }
    });
  });

  it('IDENTIFY of every drive, and what changes it', async () => {
    await same(machines(), async (driver) => {
      await driver.assign();
      await driver.pioIn(CMD.identify, { device: LBA });
      await driver.pioIn(CMD.identify, { device: SECOND }, 512, false, 2);
      await driver.command(CMD.identifyPacket);
      for (const [feature, count] of [
        [3, 0x45],
        [3, 0x22],
        [3, 0x13],
        [3, 0x0c],
        [3, 0x70],
        [0x82, 0],
        [0x02, 0],
        [0xaa, 0],
        [0x99, 0],
      ]) {
        await driver.command(CMD.setFeatures, { feature, count, device: LBA });
        await driver.pioIn(CMD.identify);
      }
      driver.channel = 1;
      await driver.command(CMD.identify, { device: CHS });
      await driver.pioIn(CMD.identifyPacket);
      await driver.command(CMD.setFeatures, { feature: 3, count: 0x45 });
      await driver.pioIn(CMD.identifyPacket);
      await driver.command(CMD.identifyPacket, { device: 0x10 });
    });
  });

  it('resets: SRST, DEVICE RESET, EXECUTE DEVICE DIAGNOSTIC', async () => {
    await same(machines(), async (driver) => {
      await driver.assign();
      for (const channel of [0, 1] as const) {
        driver.channel = channel;
        await driver.command(CMD.readNativeMax, { device: LBA });
        await driver.command(CMD.diagnose, { device: 0x50 });
        await driver.command(CMD.deviceReset);
        await driver.load({ count: 9, lba: 0x123456, device: 0x50 });
        await driver.control(0x04);
        await driver.settle();
        await driver.noteRegisters('in reset');
        await driver.control(0x02);
        await driver.noteRegisters('without interrupts');
        await driver.command(CMD.checkPower);
        await driver.control(0);
        await driver.command(CMD.checkPower);
      }
    });
  });

  it('READ and WRITE by PIO: LBA28, LBA48, CHS, once, verify, multiple', async () => {
    await same(machines(), async (driver) => {
      await driver.assign();
      await driver.pioIn(CMD.read, { count: 3, lba: 10, device: LBA });
      await driver.pioIn(CMD.readOnce, { count: 1, lba: 0x020304, device: 0xa0 });
      await driver.pioIn(CMD.read, { count: 2, lba: 0x010105, device: SECOND & ~0x40 });
      await driver.pioIn(CMD.readExt, { count: 2, lba: SECTORS - 2, device: 0x40 }, 512, true, 2);
      await driver.pioOut(CMD.write, { count: 2, lba: 50, device: LBA }, data(2));
      await driver.pioIn(CMD.read, { count: 2, lba: 50 });
      await driver.pioOut(CMD.writeExt, { count: 3, lba: 60, device: 0x40 }, data(3, 8), 512, true);
      await driver.pioOut(CMD.writeVerify, { count: 1, lba: 70, device: LBA }, data(1, 9));
      await driver.pioIn(CMD.read, { count: 11, lba: 60, device: LBA });
      for (const count of [4, 3, 32, 16, 0]) {
        await driver.command(CMD.setMultiple, { count });
        // 3 and 32 are refused: 4 stays.
        const block = (count === 3 || count === 32 ? 4 : count) * 512;
        await driver.pioIn(CMD.readMultiple, { count: 8, lba: 100, device: LBA }, Math.min(block, 8 * 512));
        await driver.pioOut(CMD.writeMultiple, { count: 8, lba: 108 }, data(8, count), Math.min(block, 4096));
      }
      await driver.command(CMD.setMultiple, { count: 2 });
      await driver.pioIn(CMD.readMultipleExt, { count: 4, lba: 108, device: 0x40 }, 1024, true);
      for (const code of [CMD.verify, CMD.verifyOnce]) await driver.command(code, { count: 5, lba: 5 });
      await driver.command(CMD.verifyExt, { count: 0x1234, lba: 5 }, true);
    });
  });

  it('errors: past the end, no such command, wrong kind of drive, data that nobody asked for', async () => {
    await same(machines(), async (driver) => {
      await driver.assign();
      await driver.pioIn(CMD.read, { count: 4, lba: SECTORS - 2, device: LBA });
      await driver.pioIn(CMD.read, { count: 1, lba: 0xff_ffff, device: 0xef });
      await driver.pioIn(CMD.read, { count: 1, lba: 0, device: CHS });
      await driver.pioOut(CMD.write, { count: 2, lba: SECTORS - 1, device: LBA }, data(2));
      await driver.pioIn(CMD.readExt, { count: 1, lba: 0xffff_ffff_ffff, device: 0x40 }, 512, true);
      for (const code of [
        0,
        1,
        0x0b,
        0x26,
        0x38,
        0x51,
        0x60,
        0x92,
        CMD.packet,
        CMD.deviceReset,
        0xa2,
        0xf1,
        0xff,
      ])
        await driver.command(code, { count: 1, lba: 1, device: LBA });
      await driver.give(data(1).subarray(0, 8));
      driver.note('nothing', await driver.take(8));
      await driver.out(7, CMD.identify);
      await driver.settle();
      await driver.give(data(1).subarray(0, 8));
      await driver.out(7, CMD.checkPower);
      await driver.out(2, 0x77);
      driver.note('still the identity', await driver.take(512));
      await driver.noteRegisters('after');
      driver.channel = 1;
      for (const code of [
        CMD.read,
        CMD.readDma,
        CMD.readNativeMax,
        CMD.verify,
        CMD.seek,
        CMD.smart,
        CMD.flushCache,
      ])
        await driver.command(code, { count: 1, lba: 1, device: CHS });
      await driver.command(CMD.flushCacheExt);
      await driver.command(CMD.read, { device: 0x10 });
    });
  });

  it('everything without data: native max, power, seek, parameters, flush, freeze', async () => {
    await same(machines(), async (driver) => {
      await driver.assign();
      for (const device of [LBA, CHS, SECOND]) {
        await driver.command(CMD.readNativeMax, { device });
        await driver.command(CMD.readNativeMaxExt, { device }, true);
      }
      for (const code of [0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0xe0, 0xe1, 0xe2, 0xe3, 0xe5, 0xe6])
        await driver.command(code, { count: 5, device: LBA });
      for (const code of [CMD.recalibrate, CMD.seek, CMD.flushCache, CMD.flushCacheExt, CMD.securityFreeze])
        await driver.command(code, { count: 5, lba: 0x11_2233 });
      await driver.command(CMD.initializeParameters, { count: 17, device: 0xa4 });
      await driver.pioIn(CMD.read, { count: 2, lba: 0x00_0302, device: 0xa2 });
      await driver.pioIn(CMD.identify);
      await driver.command(CMD.setFeatures, { feature: 0xcc });
      await driver.control(4);
      await driver.settle();
      await driver.control(0);
      await driver.pioIn(CMD.read, { count: 1, lba: 0x00_0302, device: 0xa2 });
    });
  });

  it('SMART', async () => {
    await same(machines(), async (driver) => {
      await driver.assign();
      const smart = (feature: number, low = 0): Promise<void> =>
        driver.command(CMD.smart, { feature, lba: 0xc2_4f00 | low, device: LBA });
      const page = (feature: number, low = 0): Promise<void> =>
        driver.pioIn(CMD.smart, { feature, count: 1, lba: 0xc2_4f00 | low, device: LBA });
      for (const feature of [0xd0, 0xd1]) await page(feature);
      for (const low of [0, 1, 6, 9]) await page(0xd5, low);
      for (const low of [0, 1, 2, 3]) await smart(0xd4, low);
      await page(0xd5, 6);
      await smart(0xd2, 0);
      await smart(0xd2, 5);
      await page(0xd0);
      await smart(0xd2, 0xf1);
      await smart(0xda);
      await smart(0xd6);
      await smart(0xd9);
      await page(0xd0);
      await smart(0xd8);
      await page(0xd0);
      await driver.command(CMD.smart, { feature: 0xda, lba: 0x12_3456 });
      for (let i = 0; i < 22; i++) await smart(0xd4, i % 3);
      await page(0xd5, 6);
    });
  });

  it('DMA: tables of one and many entries, too short, too long, odd, without memory', async () => {
    await same(machines(), async (driver) => {
      await driver.assign();
      const read = async (count: number, pieces: [number, number][], lba = 20): Promise<void> => {
        await driver.board.writeBytes(DATA_AT, new Uint8Array(0x8000).fill(0xee));
        await driver.dma(
          CMD.readDma,
          { count, lba, device: LBA },
          pieces.map(([offset, bytes]) => ({ address: DATA_AT + offset, bytes })),
        );
        driver.note('memory', await driver.board.readBytes(DATA_AT, 0x8000));
      };
      await read(1, [[0, 512]]);
      await read(8, [[0x1000, 4096]]);
      await read(8, [
        [0, 1024],
        [0x2000, 2048],
        [0x4000, 1024],
      ]);
      await read(2, [
        [0x10, 700],
        [0x800, 324],
      ]);
      await read(4, [[0, 1024]]);
      await read(4, [[0, 4096]]);
      await read(4, [
        [0, 2048],
        [0x4000, 2048],
      ]);
      await read(1, [[1, 511]]);
      await read(1, [[0, 3]]);
      await read(3, [
        [0, 512],
        [0x200, 513],
        [0x401, 511],
      ]);
      await read(4, [[0, 2048]], SECTORS - 3);
      await driver.board.writeBytes(DATA_AT, data(64, 11));
      await driver.dma(CMD.writeDma, { count: 16, lba: 200, device: LBA }, [
        { address: DATA_AT, bytes: 8192 },
      ]);
      await driver.dma(
        CMD.writeDmaExt,
        { count: 16, lba: 216, device: 0x40 },
        [{ address: DATA_AT, bytes: 8192 }],
        true,
      );
      await driver.dma(CMD.writeDma, { count: 16, lba: SECTORS - 8, device: LBA }, [
        { address: DATA_AT, bytes: 8192 },
      ]);
      await driver.dma(
        CMD.readDmaExt,
        { count: 128, lba: 190, device: 0x40 },
        [{ address: DATA_AT, bytes: 0 }],
        true,
      );
      driver.note('all', await driver.board.readBytes(DATA_AT, 0x1_0000));
      await driver.dma(CMD.readDma, { count: 2, lba: 0, device: LBA }, [
        { address: 0x0800_0000, bytes: 1024 },
      ]);
      await driver.dma(CMD.writeDma, { count: 2, lba: 300, device: LBA }, [
        { address: 0x0800_0000, bytes: 1024 },
      ]);
      await driver.pioIn(CMD.read, { count: 2, lba: 300, device: LBA });
      await driver.setConfig(4, 2, 1);
      await driver.dma(CMD.readDma, { count: 2, lba: 0, device: LBA }, [{ address: DATA_AT, bytes: 1024 }]);
    });
  });

  it('DMA: the bus master before the command, stopped before it, a table without an end', async () => {
    await same(machines(), async (driver) => {
      await driver.assign();
      await driver.table([{ address: DATA_AT, bytes: 1024 }]);
      await driver.setMaster(0, 9);
      driver.note('started', await driver.master(2));
      await driver.load({ count: 2, lba: 3, device: LBA });
      await driver.out(7, CMD.readDma);
      await driver.settle(async (status) => (status & 8) === 0);
      await driver.noteRegisters('early');
      await driver.setMaster(0, 0);
      driver.note('stopped', await driver.master(2));
      await driver.out(7, CMD.readDma);
      driver.note('waits', await driver.alternate());
      await driver.setMaster(0, 8);
      driver.note('still waits', await driver.alternate());
      await driver.control(4);
      await driver.settle();
      await driver.noteRegisters('reset');
      await driver.control(0);
      await driver.table([{ address: DATA_AT, bytes: 512 }], false);
      await driver.load({ count: 4, lba: 3, device: LBA });
      await driver.out(7, CMD.readDma);
      await driver.run(true);
      await driver.noteRegisters('without an end');
    });
  });

  it('TRIM', async () => {
    await same(machines(), async (driver) => {
      await driver.assign();
      const ranges = async (...entries: [number, number][]): Promise<void> => {
        const sector = Buffer.alloc(512);
        entries.forEach(([lba, count], i) =>
          sector.writeBigUInt64LE((BigInt(count) << 48n) | BigInt(lba), i * 8),
        );
        await driver.board.writeBytes(DATA_AT, sector);
        await driver.dma(CMD.dataSetManagement, { feature: 1, count: 1, lba: 0, device: 0x40 }, [
          { address: DATA_AT, bytes: 512 },
        ]);
      };
      await ranges([400, 8], [0, 0], [500, 1]);
      await driver.pioIn(CMD.read, { count: 2, lba: 407, device: LBA });
      await driver.pioIn(CMD.read, { count: 2, lba: 500, device: LBA });
      await ranges([10, 1], [SECTORS - 1, 2]);
      await ranges([0xffff_ffff_fff0, 16]);
      await driver.command(CMD.dataSetManagement, { feature: 2, count: 1 });
    });
  });
});

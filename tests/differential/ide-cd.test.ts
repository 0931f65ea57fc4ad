/** One script, two CD-ROM drives behind a PIIX IDE controller: Platter's and QEMU's. */
import { describe, it } from 'vitest';
import { CMD } from '#engine/ide/ata.ts';
import { IDE_MODELS } from './ide-board.ts';
import { DATA_AT, type IdeScript } from './ide-driver.ts';
import { CHS, machinesForEach, same } from './ide-machines.ts';

describe.each(IDE_MODELS)('the CD-ROM drive of %s beside QEMU', (model) => {
  const machines = machinesForEach(model);
  const READ10 = (lba: number, count: number): number[] => [0x28, 0, 0, 0, lba >> 8, lba & 0xff, 0, 0, count];

  async function onCd(driver: IdeScript): Promise<void> {
    await driver.assign();
    driver.channel = 1;
    await driver.out(6, CHS);
  }

  it('every packet command', async () => {
    await same(machines(), async (driver) => {
      await onCd(driver);
      for (const packet of [
        [0x00],
        [0x03, 0, 0, 0, 18],
        [0x03, 0, 0, 0, 8],
        [0x12, 0, 0, 0, 36],
        [0x12, 0, 0, 0, 96],
        [0x12, 1, 0, 0, 36],
        [0x12, 1, 0x83, 0, 255],
        [0x12, 1, 0x83, 0, 40],
        [0x12, 1, 0x83, 0, 10],
        [0x12, 1, 0x80, 0, 36],
        [0x03, 0, 0, 0, 18],
        [0x25],
        [0x43, 0, 0, 0, 0, 0, 0, 0, 20, 0],
        [0x43, 2, 0, 0, 0, 0, 0xaa, 0, 20, 0],
        [0x43, 0, 0, 0, 0, 0, 5, 0, 20, 0],
        [0x43, 0, 0, 0, 0, 0, 0, 0, 12, 0x40],
        [0x43, 2, 0, 0, 0, 0, 0, 0, 64, 0x80],
        [0x43, 0, 0, 0, 0, 0, 0, 0, 64, 0x80],
        [0x43, 0, 0, 0, 0, 0, 0, 0, 64, 0xc0],
        [0x46, 0, 0, 0, 0, 0, 0, 0, 64],
        [0x46, 0, 0, 0, 0, 0, 0, 0, 8],
        [0x46, 2, 0, 3, 0, 0, 0, 0, 64],
        [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 16],
        [0x4a, 1, 0, 0, 0x02, 0, 0, 0, 16],
        [0x4a, 0, 0, 0, 0x10, 0, 0, 0, 16],
        [0x51, 0, 0, 0, 0, 0, 0, 0, 34],
        [0x51, 1, 0, 0, 0, 0, 0, 0, 34],
        [0x5a, 0, 0x01, 0, 0, 0, 0, 0, 64],
        [0x5a, 0, 0x0e, 0, 0, 0, 0, 0, 64],
        [0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 64],
        [0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 64],
        [0x5a, 0, 0x6a, 0, 0, 0, 0, 0, 64],
        [0x5a, 0, 0xea, 0, 0, 0, 0, 0, 64],
        [0xad, 0, 0, 0, 0, 0, 0, 0, 8, 8],
        [0xad, 0, 0, 0, 0, 0, 0, 0xff, 0, 20],
        [0xad, 1, 0, 0, 0, 0, 0, 0xff, 0, 20],
        [0xbb],
        [0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8],
        [0x2b, 0, 0, 0, 0, 5],
        [0x2b, 0, 0, 9, 0, 5],
        [0x1e, 0, 0, 0, 1],
        [0x1b, 0, 0, 0, 2],
        [0x1e, 0, 0, 0, 0],
        [0x1b, 0, 0, 0, 2],
        [0x00],
        [0x25],
        [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 16],
        [0x1b, 0, 0, 0, 3],
        [0x1b, 0, 0, 0, 0x12],
        [0x00],
        [0x04],
        [0x55],
        [0xff],
      ])
        await driver.packet(packet);
    });
  });

  it('READ through the data port: byte count limits, raw blocks, past the end', async () => {
    await same(machines(), async (driver) => {
      await onCd(driver);
      await driver.packet(READ10(3, 1), 0xfffe);
      await driver.packet(READ10(4, 3), 2048);
      await driver.packet(READ10(4, 3), 0x0301);
      await driver.packet(READ10(5, 4), 0xffff);
      await driver.packet(READ10(5, 4), 5000, 4);
      await driver.packet(READ10(0, 0), 2048);
      await driver.packet(READ10(511, 2), 2048);
      await driver.packet(READ10(511, 1), 0);
      await driver.packet([0xa8, 0, 0, 0, 0, 9, 0, 0, 0, 2], 4096);
      await driver.packet([0xbe, 0, 0, 0, 0, 9, 0, 0, 2, 0x10], 4096);
      await driver.packet([0xbe, 0, 0, 0, 0, 9, 0, 0, 2, 0xf8], 2352);
      await driver.packet([0xbe, 0, 0, 0, 0, 9, 0, 0, 3, 0xf8], 4096);
      await driver.packet([0xbe, 0, 0, 0, 0, 9, 0, 0, 2, 0x40], 4096);
      await driver.packet([0xbe, 0, 0, 0, 0, 9, 0, 0, 2, 0], 0);
      await driver.packet([0xbe, 0, 0, 0, 0, 9, 0, 0, 2, 0x10], 0);
      await driver.packet([0x12, 0, 0, 0, 36], 10);
    });
  });

  it('DMA', async () => {
    await same(machines(), async (driver) => {
      await onCd(driver);
      await driver.packetDma(READ10(3, 1), [{ address: DATA_AT, bytes: 2048 }]);
      await driver.packetDma(READ10(0, 80), [
        { address: DATA_AT, bytes: 0 },
        { address: DATA_AT + 0x2_0000, bytes: 0 },
        { address: DATA_AT + 0x4_0000, bytes: 0x8000 },
      ]);
      await driver.packetDma(READ10(3, 2), [{ address: DATA_AT, bytes: 2048 }]);
      await driver.reset();
      await driver.packetDma([0x12, 0, 0, 0, 36], [{ address: DATA_AT, bytes: 36 }]);
      await driver.packetDma([0x12, 0, 0, 0, 36], [{ address: DATA_AT, bytes: 2048 }]);
      await driver.packetDma([0xbe, 0, 0, 0, 0, 9, 0, 0, 3, 0xf8], [{ address: DATA_AT, bytes: 8192 }]);
      await driver.packetDma(READ10(511, 2), [{ address: DATA_AT, bytes: 4096 }]);
      await driver.load({ feature: 2 });
      await driver.command(CMD.packet);
    });
  });
});

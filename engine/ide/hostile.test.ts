/** What a hostile guest may try on IDE and AHCI; each test is a line of the known ways in which device models have failed. */
import { describe, expect, it } from 'vitest';
import { arrayNode } from '../virtio/testing/rig.ts';
import { PORT, PXCMD } from './ahci/registers.ts';
import { CMD, STATUS } from './ata.ts';
import { AhciRig, AT, DISC_BYTES, DISK_BYTES, IdeRig, lateNode } from './testing/rig.ts';

const LBA = 0xe0;
const READ10 = (lba: number, count: number): number[] => [0x28, 0, 0, 0, lba >> 8, lba & 0xff, 0, 0, count];

function patterned(): ReturnType<typeof arrayNode> {
  const node = arrayNode(DISK_BYTES);
  node.disk.fill(0xd5);
  return node;
}

describe('the data port (CVE-2020-29443)', () => {
  it('gives what was offered and nothing behind it, however often it is read', () => {
    const rig = new IdeRig(patterned());
    const last = DISC_BYTES / 2048 - 1;
    rig.packet(READ10(last, 1), 0xfffe);
    let words = 0;
    while ((rig.status(1) & STATUS.drq) !== 0) {
      rig.in(1, 0, 2);
      words++;
    }
    expect(words).toBe(1024);
    for (let i = 0; i < 2000; i++) expect(rig.io.read(0x170, 2)).toBe(0);
  });

  it('gives nothing after a reset in the middle of an answer', () => {
    const rig = new IdeRig(patterned());
    rig.packet(READ10(0, 4), 2048);
    for (let i = 0; i < 100; i++) rig.in(1, 0, 2);
    rig.control(1, 4);
    expect(rig.status(1) & (STATUS.drq | STATUS.bsy)).toBe(0);
    expect(rig.in(1, 0, 2)).toBe(0);
    rig.packet([0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 2048);
    expect(rig.status(1) & STATUS.err).toBe(STATUS.err);
  });

  it('takes no byte more than the block that was asked for', () => {
    const node = patterned();
    const rig = new IdeRig(node);
    rig.command(0, CMD.write, LBA, 1, 3);
    for (let i = 0; i < 5000; i++) rig.out(0, 0, 0, 2);
    expect(node.disk.subarray(3 * 512, 4 * 512).every((byte) => byte === 0)).toBe(true);
    expect(node.disk.subarray(4 * 512).every((byte) => byte === 0xd5)).toBe(true);
  });
});

describe('a reset in the middle of a transfer (CVE-2023-5088)', () => {
  it.each([
    ['of the machine', (rig: IdeRig) => rig.device.reset()],
    ['by SRST', (rig: IdeRig) => rig.control(0, 4)],
  ])('%s: never writes sector 0', async (_, reset) => {
    const node = lateNode(DISK_BYTES);
    node.disk.fill(0xd5);
    const rig = new IdeRig(node);
    rig.command(0, CMD.writeDma, LBA, 16, 100);
    rig.table(0, [AT.data, 4096], [AT.data + 0x1000, 4096]);
    rig.master(0, 0, 1);
    reset(rig);
    for (let i = 0; i < 20; i++) {
      await node.release();
      rig.device.process();
    }
    expect(node.disk.subarray(0, 100 * 512).every((byte) => byte === 0xd5)).toBe(true);
    expect(rig.status(0)).toBe(STATUS.drdy | STATUS.dsc);
    expect(rig.device.channels[0].drive.sector).toBeLessThanOrEqual(1);
  });

  it('PIO: what comes late changes neither status nor buffer', async () => {
    const node = lateNode(DISK_BYTES);
    const rig = new IdeRig(node);
    rig.command(0, CMD.read, LBA, 1, 5);
    rig.control(0, 4);
    rig.control(0, 0);
    await node.release();
    rig.device.process();
    expect(rig.status(0)).toBe(STATUS.drdy | STATUS.dsc);
    expect(rig.in(0, 0, 2)).toBe(0);
  });

  it('NCQ: a port that was reset hears no more of its tags', async () => {
    const node = lateNode(DISK_BYTES);
    const rig = new AhciRig(node);
    rig.start();
    rig.setPort(PORT.sact, 1);
    rig.command([CMD.readFpdmaQueued, 8, 0, 0, 0, 0x40, 0, 0, 0, 0, 0], [[AT.data, 4096]]);
    expect(rig.device.ports[0].queue.inFlight).toBe(1);
    rig.setPort(PORT.sctl, 1);
    rig.setPort(PORT.sctl, 0);
    rig.setPort(PORT.is, 0xffff_ffff);
    await node.release();
    rig.device.process();
    expect(rig.device.ports[0].queue.inFlight).toBe(0);
    expect(rig.port(PORT.is)).toBe(0);
  });
});

describe('DMA sizes (CVE-2019-20175)', () => {
  it.each<[string, [number, number][]]>([
    ['nothing but one byte', [[AT.data, 1]]],
    ['a sector and a bit', [[AT.data, 514]]],
    [
      'odd pieces',
      [
        [AT.data, 511],
        [AT.data + 600, 513],
      ],
    ],
    ['64 KiB, written as 0', [[AT.data, 0]]],
    ['addresses outside memory', [[0xffff_fff0, 0]]],
  ])('%s: the command ends', (_, prds) => {
    const rig = new IdeRig(patterned());
    for (const code of [CMD.readDma, CMD.writeDma, CMD.dataSetManagement]) {
      rig.out(0, 1, 1);
      rig.command(0, code, LBA, 4, 8);
      rig.table(0, ...prds);
      rig.master(0, 0, code === CMD.readDma ? 9 : 1);
      expect(rig.status(0) & (STATUS.bsy | STATUS.drq)).toBe(0);
      rig.master(0, 0, 0);
    }
  });

  it.each<[string, [number, number][], number]>([
    ['no table', [], 0],
    ['a table that leaves memory', [[AT.data, 512]], 0xffff],
    ['too little memory', [[AT.data, 100]], 1],
  ])('AHCI, %s: the command ends, queued or not', (_, prds, length) => {
    const rig = new AhciRig(patterned());
    rig.start();
    rig.command([CMD.readDma, 0, 1, 0, 0, LBA, 0, 0, 0, 0, 4], prds, length);
    expect(rig.port(PORT.tfd) & (STATUS.bsy | STATUS.drq)).toBe(0);
    rig.command([CMD.readFpdmaQueued, 4, 1, 0, 0, 0x40, 0, 0, 0, 0, 0], prds, length);
    expect(rig.device.ports[0].queue.inFlight).toBe(0);
  });
});

describe('commands for another kind of drive (CVE-2015-6855)', () => {
  it('are refused by a CD-ROM drive, all of them', () => {
    const rig = new IdeRig(patterned());
    const own: number[] = [
      CMD.deviceReset,
      CMD.diagnose,
      CMD.packet,
      CMD.identifyPacket,
      CMD.flushCache,
      CMD.setFeatures,
    ];
    for (let code = 0; code < 256; code++) {
      if (own.includes(code)) continue;
      rig.command(1, code, 0xa0, 1, 1);
      expect(rig.status(1) & STATUS.err, code.toString(16)).toBe(STATUS.err);
    }
  });

  it('INITIALIZE DEVICE PARAMETERS cannot make a track of no sectors that is then divided by', () => {
    const rig = new IdeRig(patterned());
    rig.command(0, CMD.initializeParameters, 0xaf, 0, 0);
    for (const code of [CMD.readNativeMax, CMD.readNativeMaxExt, CMD.read, CMD.readMultiple, CMD.writeDma]) {
      rig.command(0, code, 0xa0, 1, 1);
      expect(rig.status(0) & STATUS.bsy).toBe(0);
    }
    rig.command(0, CMD.read, 0xe0, 1, 1);
    expect(rig.in(0, 0, 2)).toBe(0xd5d5);
  });
});

describe('memory', () => {
  it('a FIS area or a list outside memory starts no engine', () => {
    const rig = new AhciRig(patterned());
    rig.start(0xfff0_0000, 0xfff1_0000);
    expect(rig.port(PORT.cmd) & (PXCMD.listRunning | PXCMD.start)).toBe(0);
    rig.start(AT.list, 0xfff1_0000);
    expect(rig.port(PORT.cmd) & PXCMD.fisRunning).toBe(0);
    rig.command([CMD.identify, 0, 0, 0, 0, LBA], [[AT.data, 512]]);
    expect(rig.port(PORT.ci)).toBe(0);
  });

  it('a command table outside memory is no command', () => {
    const rig = new AhciRig(patterned());
    rig.start();
    rig.memory.writeUint(AT.list + 8, 4, 0xfff0_0000);
    rig.setPort(PORT.ci, 1);
    expect(rig.port(PORT.tfd) & STATUS.bsy).toBe(0);
  });
});

/** One script, two devices: Platter's virtio-scsi-pci with disks and a CD-ROM, and QEMU's, byte for byte. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '#engine/guest/workload.ts';
import { TMF } from '#engine/virtio/scsi/protocol.ts';
import { COMMON } from '#engine/virtio/transport/pci-layout.ts';
import {
  be32,
  blockCommands,
  inquiries,
  mmc,
  modeSelects,
  randomCommand,
  rw,
  statusCommands,
} from './virtio-scsi-cases.ts';
import { EXTENSIONS, NOT_SENT } from './virtio-scsi-differences.ts';
import type { ScsiScriptDriver } from './virtio-scsi-driver.ts';
import {
  bytesOfCommand,
  CD,
  CD_BYTES,
  DISK,
  DISK_BYTES,
  LARGE,
  ready,
  same as compare,
  scsiMachines,
  SECOND,
  type ScsiMachines,
} from './virtio-scsi-machines.ts';

/** Seeds of the random scripts; PLATTER_SCSI_SEEDS makes it so many more. */
const SEEDS = Array.from({ length: Number(process.env.PLATTER_SCSI_SEEDS ?? 4) }, (_, i) => i + 1);

let machines: ScsiMachines;
beforeAll(async () => {
  machines = await scsiMachines();
});
afterAll(() => machines?.close());
const same = (script: (driver: ScsiScriptDriver) => Promise<void>): Promise<void> =>
  compare(machines, script);

const UNITS = [
  ['disk', DISK],
  ['second disk behind one target', SECOND],
  ['CD-ROM', CD],
  ['disk with 4096-byte blocks', LARGE],
] as const;

describe('virtio-scsi-pci beside QEMU: the device', () => {
  it('discovery: configuration space, features, queues, configuration fields', async () => {
    await same(async (driver) => {
      await driver.pci.noteConfigSpace('assigned');
      for (const half of [0, 1, 2]) {
        await driver.pci.setCommon(COMMON.deviceFeatureSelect, 4, half);
        driver.note(`offered ${half}`, await driver.pci.common(COMMON.deviceFeature, 4));
      }
      driver.note('queues', await driver.pci.common(COMMON.numQueues, 2));
      for (const size of [1, 2, 4] as const) {
        for (let at = 0; at < 40; at += size)
          driver.note(`device ${size} ${at}`, await driver.config(at, size));
      }
    });
  });

  it('negotiation: T10_PI and INOUT cannot be had', async () => {
    await same(async (driver) => {
      await driver.initialise([0xf, 1]);
      driver.note('written', await driver.pci.common(COMMON.driverFeature, 4));
      await ready(driver, DISK);
    });
  });

  it('interrupts: a message of the queue’s vector for each answer, nothing in the ISR that should not be', async () => {
    await same(async (driver) => {
      await ready(driver, DISK);
      await driver.noteInterrupts('a command');
      await driver.tmf(TMF.queryTaskSet, 0, 0);
      await driver.noteInterrupts('a control request');
    });
  });

  it('sizes of CDB and sense data as the driver sets them', async () => {
    await same(async (driver) => {
      await driver.setConfig(20, 4, 10);
      await driver.setConfig(24, 4, 12);
      driver.senseSize = 10;
      driver.cdbSize = 12;
      for (const at of [20, 24]) driver.note(`size ${at}`, await driver.config(at, 4));
      await ready(driver, DISK);
      await driver.command({ cdb: rw.read10(0, 1), into: 512 });
      await driver.command({ cdb: rw.read16(0n, 1), into: 512 });
      await driver.setConfig(24, 4, 0);
      driver.cdbSize = 0;
      await driver.command({ cdb: [] });
      await driver.setConfig(20, 4, 0);
      driver.senseSize = 0;
      await driver.command({ cdb: [] });
      await driver.initialise();
      for (const at of [20, 24]) driver.note(`size after reset ${at}`, await driver.config(at, 4));
      await driver.setConfig(20, 4, 65536);
      driver.note('status', await driver.pci.common(COMMON.status, 1));
      driver.note('sense size', await driver.config(20, 4));
    });
  });

  it.each([
    ['a short header', 2, [new Uint8Array(30), 108]],
    ['no room for the answer', 2, [new Uint8Array(51), 50]],
    ['no answer at all', 2, [new Uint8Array(51)]],
    ['an empty control request', 0, [new Uint8Array(3), 1]],
    ['a short task management request', 0, [new Uint8Array(20), 1]],
    ['a short notification request', 0, [Uint8Array.of(1, 0, 0, 0, 1), 5]],
    ['a notification without room', 0, [Uint8Array.from({ length: 16 }, (_, i) => (i === 0 ? 1 : 0)), 4]],
  ])('%s lays the device down until it is reset', async (_, queue, pieces) => {
    await same(async (driver) => {
      await driver.offer(queue, pieces);
      await driver.kick(queue);
      driver.note('answered', (await driver.taken(queue)) === undefined ? 0 : 1);
      driver.note('status', await driver.pci.common(COMMON.status, 1));
      await driver.noteInterrupts('fault');
      await driver.initialise();
      await ready(driver, DISK);
      await driver.command({ cdb: rw.read10(0, 1), into: 512 });
    });
  });
});

describe('virtio-scsi-pci beside QEMU: addresses', () => {
  it('targets and LUNs that are there, that are not, and that cannot be', async () => {
    await same(async (driver) => {
      const inquiry = { cdb: [0x12, 0, 0, 0, 36, 0], into: 36 };
      for (const [, unit] of UNITS) await driver.command({ ...inquiry, ...unit });
      for (const address of [
        [1, 3, 0, 0],
        [1, 255, 0, 0],
        [0, 0, 0, 0],
        [2, 0, 0, 0],
        [1, 0, 0x80, 0],
        [1, 0, 0x3f, 0],
        [1, 0, 0x40, 0],
        [1, 0, 0x40, 3],
        [1, 2, 0x41, 0x2c],
        [0xc1, 1, 0, 0],
      ]) {
        await driver.command({ ...inquiry, address: Uint8Array.from([...address, 0, 0, 0, 0]) });
      }
    });
  });

  it('a LUN that is not there answers through its target', async () => {
    await same(async (driver) => {
      for (const unit of [DISK, SECOND, CD, LARGE]) await ready(driver, unit);
      for (const unit of [
        { target: 0, lun: 1 },
        { target: 2, lun: 0 },
        { target: 2, lun: 5 },
      ]) {
        for (const script of inquiries()) await driver.command({ ...script, ...unit });
        await driver.command({ cdb: rw.read10(0, 1), into: 512, ...unit });
        await driver.command({ cdb: [0x03, 0, 0, 0, 18, 0], into: 18, ...unit });
      }
      await driver.command({ cdb: [0x03, 0, 0, 0, 18, 0], into: 18, ...DISK });
      await driver.command({ cdb: [0x03, 0, 0, 0, 18, 0], into: 18, ...SECOND });
    });
  });
});

describe.each(UNITS)('virtio-scsi-pci beside QEMU: %s', (name, unit) => {
  const block = unit === LARGE ? 4096 : unit === CD ? 2048 : 512;
  const bytes = unit === CD ? CD_BYTES : unit === SECOND ? DISK_BYTES / 4 : DISK_BYTES;

  it('unit attentions and sense data', async () => {
    await same(async (driver) => {
      const sense = { cdb: [0x03, 0, 0, 0, 18, 0], into: 18, ...unit };
      await driver.command({ cdb: [0x12, 0, 0, 0, 36, 0], into: 36, ...unit });
      await driver.command({ cdb: [0xa0, 0, 0, 0, 0, 0, ...be32(64), 0, 0], into: 64, ...unit });
      await driver.command(sense);
      await driver.command(sense);
      await driver.command({ cdb: rw.read10(0xffff_fff0, 1), into: block, ...unit });
      await driver.command(sense);
      await driver.command(sense);
      await driver.command({ cdb: [0xff], ...unit });
      await driver.command({ cdb: [0x03, 1, 0, 0, 255, 0], into: 255, ...unit });
      await driver.command({ cdb: [0x1a, 0, 0xc8, 0, 64, 0], into: 64, ...unit });
      await driver.command({ cdb: [0x03, 0, 0, 0, 5, 0], into: 5, ...unit });
      await driver.tmf(TMF.logicalUnitReset, unit.target, unit.lun);
      await driver.command({ cdb: [0xff], ...unit });
      await ready(driver, unit);
    });
  });

  it('INQUIRY, VPD, mode pages, capacities', async () => {
    await same(async (driver) => {
      await ready(driver, unit);
      for (const script of inquiries()) await driver.command({ ...script, ...unit });
    });
  });

  it('READ, WRITE, VERIFY, WRITE SAME, UNMAP', async () => {
    await same(async (driver) => {
      await ready(driver, unit);
      for (const script of blockCommands(block, bytes / block)) await driver.command({ ...script, ...unit });
    });
  });

  it('MODE SELECT', async () => {
    await same(async (driver) => {
      await ready(driver, unit);
      for (const script of modeSelects()) await driver.command({ ...script, ...unit });
    });
  });

  it('MMC, the tray, reservations, and every other code', async () => {
    await same(async (driver) => {
      await ready(driver, unit);
      for (const script of [...mmc(), ...statusCommands()]) await driver.command({ ...script, ...unit });
      for (let code = 0; code < 256; code++) {
        if (EXTENSIONS.has(code)) continue;
        await driver.command({ cdb: [code, ...Array<number>(15).fill(0)], ...unit });
      }
    });
  });

  it.each(SEEDS)(`random commands on the ${name}, seed %i`, async (seed) => {
    await same(async (driver) => {
      const random = new Random(seed * 1000 + unit.target * 10 + unit.lun);
      const pick = (most: number): number => Math.floor(random.next() * most);
      for (let i = 0; i < 60; i++) {
        const script = randomCommand(pick, bytes / block, (source) =>
          bytesOfCommand(source, block, unit === CD ? 5 : 0),
        );
        await driver.command({ ...script, ...unit });
        if (pick(15) === 0) await driver.tmf(pick(9), unit.target, pick(4) === 0 ? pick(5) : unit.lun);
      }
    });
  });
});

describe('virtio-scsi-pci beside QEMU: the control queue', () => {
  it('every task management function on units that are there, or not', async () => {
    await same(async (driver) => {
      for (const unit of [DISK, SECOND, CD, LARGE]) await ready(driver, unit);
      for (let subtype = 0; subtype <= 9; subtype++) {
        for (const [target, lun] of [
          [0, 0],
          [0, 1],
          [0, 3],
          [2, 300],
          [7, 0],
        ]) {
          await driver.tmf(subtype, target, lun, 5);
        }
        for (const unit of [DISK, SECOND, CD, LARGE]) await ready(driver, unit);
        for (const unit of [DISK, SECOND, CD, LARGE]) await ready(driver, unit);
      }
    });
  });

  it('asynchronous notification, and types that nobody knows', async () => {
    await same(async (driver) => {
      for (const type of [1, 2]) {
        const bytes = new Uint8Array(16);
        bytes.set([type, 0, 0, 0, 1, 0, 0, 0]);
        bytes.set([2, 0, 0, 0], 12);
        await driver.control(`notification ${type}`, bytes, 5);
        bytes[5] = 9;
        await driver.control(`notification ${type} of nobody`, bytes, 5);
      }
      await driver.control('unknown', Uint8Array.of(3, 0, 0, 0), 4);
      await driver.control('unknown without an answer', Uint8Array.of(77, 0, 0, 0), 0);
    });
  });
});

it('the generator sends nothing that the list of differences leaves out', () => {
  const random = new Random(99);
  const pick = (most: number): number => Math.floor(random.next() * most);
  for (let i = 0; i < 5000; i++) {
    const { cdb } = randomCommand(pick, 2048, () => ({ bytes: 0, toDevice: false }));
    expect(EXTENSIONS.has(cdb[0])).toBe(false);
    for (const { what, cdb: means } of NOT_SENT) expect(means?.(cdb) ?? false, what).toBe(false);
  }
});

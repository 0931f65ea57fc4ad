/** One script, two devices: Platter's virtio-scsi-pci with disks and a CD-ROM, and QEMU's, byte for byte. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '#engine/guest/workload.ts';
import { CdbReader } from '#engine/scsi/cdb.ts';
import { ScsiDisk } from '#engine/scsi/disk/disk.ts';
import { SENSE } from '#engine/scsi/sense.ts';
import { DIRECTION, transferBytes, transferDirection } from '#engine/scsi/transfer.ts';
import type { VirtioScsi } from '#engine/virtio/scsi/device.ts';
import { EVENT_BYTES, QUEUE, TMF } from '#engine/virtio/scsi/protocol.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { COMMON } from '#engine/virtio/transport/pci-layout.ts';
import { qemuBoard, type Board } from './board.ts';
import { Qmp } from './qmp.ts';
import { QTest } from './qtest.ts';
import { platterScsiBoard } from './virtio-scsi-board.ts';
import {
  be32,
  blockCommands,
  inquiries,
  mmc,
  modeSelects,
  pattern,
  randomCommand,
  rw,
  statusCommands,
} from './virtio-scsi-cases.ts';
import { compared, EXTENSIONS } from './virtio-scsi-differences.ts';
import { ScsiScriptDriver } from './virtio-scsi-driver.ts';

const DISK_BYTES = 4 * 1024 * 1024;
const CD_BYTES = 1024 * 1024;
/** Target and LUN of each unit: a disk, another one behind the same target, a CD-ROM, a 4096-byte disk at a LUN past 255. */
const DISK = { target: 0, lun: 0 };
const SECOND = { target: 0, lun: 3 };
const CD = { target: 1, lun: 0 };
const LARGE = { target: 2, lun: 300 };
/** Seeds of the random scripts; PLATTER_SCSI_SEEDS makes it so many more. */
const SEEDS = Array.from({ length: Number(process.env.PLATTER_SCSI_SEEDS ?? 4) }, (_, i) => i + 1);

let folder: string;
let boards: Board[];
let qmp: Qmp;
let platter: VirtioScsi;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platter-qtest-'));
  const { board, device } = platterScsiBoard();
  const args = ['-device', 'virtio-scsi-pci,id=s0,addr=4,disable-legacy=on'];
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
  const qtest = await QTest.start(join(folder, 'q.sock'), args);
  qmp = await Qmp.connect(join(folder, 'qmp.sock'));
  platter = device;
  boards = [board, qemuBoard(qtest)];
});

afterAll(async () => {
  qmp?.close();
  for (const board of boards ?? []) await board.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs the script on both, after a reset of the device, and compares what they answered. */
async function same(script: (driver: ScsiScriptDriver) => Promise<void>): Promise<void> {
  const logs: string[][] = [];
  for (const board of boards) {
    const driver = new ScsiScriptDriver(board);
    await driver.start();
    await script(driver);
    logs.push(compared(driver.log));
  }
  const [platter, qemu] = logs;
  expect(qemu.length).toBeGreaterThan(5);
  expect(platter).toEqual(qemu);
}

/** Takes the unit attention of a reset away. */
async function ready(driver: ScsiScriptDriver, unit: { target: number; lun: number }): Promise<void> {
  await driver.command({ cdb: [0, 0, 0, 0, 0, 0], ...unit });
}

const UNITS = [
  ['disk', DISK],
  ['second disk behind one target', SECOND],
  ['CD-ROM', CD],
  ['disk with 4096-byte blocks', LARGE],
] as const;

describe('virtio-scsi-pci beside QEMU: the device', () => {
  it('discovery: configuration space, features, queues, configuration fields', async () => {
    await same(async (driver) => {
      await driver.base.noteConfigSpace('assigned');
      for (const half of [0, 1, 2]) {
        await driver.base.setCommon(COMMON.deviceFeatureSelect, 4, half);
        driver.note(`offered ${half}`, await driver.base.common(COMMON.deviceFeature, 4));
      }
      driver.note('queues', await driver.base.common(COMMON.numQueues, 2));
      for (const size of [1, 2, 4] as const) {
        for (let at = 0; at < 40; at += size)
          driver.note(`device ${size} ${at}`, await driver.config(at, size));
      }
    });
  });

  it('negotiation: T10_PI and INOUT cannot be had', async () => {
    await same(async (driver) => {
      await driver.initialise([0xf, 1]);
      driver.note('written', await driver.base.common(COMMON.driverFeature, 4));
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
      await driver.initialise([6, 1]);
      for (const at of [20, 24]) driver.note(`size after reset ${at}`, await driver.config(at, 4));
      await driver.setConfig(20, 4, 65536);
      driver.note('status', await driver.base.common(COMMON.status, 1));
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
      driver.note('status', await driver.base.common(COMMON.status, 1));
      await driver.noteInterrupts('fault');
      await driver.initialise([6, 1]);
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
      const cdb = new CdbReader();
      for (let i = 0; i < 60; i++) {
        const script = randomCommand(pick, bytes / block, (source) => {
          const known = cdb.load(source, 0, source.length);
          const count = known ? transferBytes(cdb, block, unit === CD ? 5 : 0) : 0;
          return { bytes: count, toDevice: transferDirection(cdb, count) === DIRECTION.toDevice };
        });
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

describe('virtio-scsi-pci beside QEMU: events (section 5.6.6.3)', () => {
  /** A disk comes, or goes, at target 5. */
  const change = async (driver: ScsiScriptDriver, there: boolean): Promise<void> => {
    if (driver.board.name === 'qemu') {
      if (there) await plug();
      else await qmp.ask('device_del', { id: 'late' });
    } else if (there) {
      platter.attach(5, 0, new ScsiDisk({ node: arrayNode(65536), kind: 'disk', unmap: false }));
    } else {
      platter.detach(5, 0);
    }
    platter.process();
  };
  const event = async (driver: ScsiScriptDriver, label: string, place: number): Promise<void> => {
    const used = await driver.taken(QUEUE.event);
    driver.note(`${label} used`, used?.length ?? 0);
    driver.note(`${label} event`, await driver.board.readBytes(place, EVENT_BYTES));
    await driver.noteInterrupts(label);
  };

  it('hot-plug and hot-unplug, with their unit attentions', async () => {
    await same(async (driver) => {
      for (const unit of [DISK, SECOND, CD, LARGE]) await ready(driver, unit);
      const [first] = await driver.offer(QUEUE.event, [EVENT_BYTES], 0);
      const [second] = await driver.offer(QUEUE.event, [EVENT_BYTES], 1);
      await change(driver, true);
      await event(driver, 'plugged', first);
      await ready(driver, CD);
      await ready(driver, DISK);
      await driver.command({ cdb: [0x12, 0, 0, 0, 36, 0], into: 36, target: 5 });
      await ready(driver, { target: 5, lun: 0 });
      await change(driver, false);
      await event(driver, 'unplugged', second);
      await driver.command({ cdb: [0xa0, 0, 0, 0, 0, 0, ...be32(64), 0, 0], into: 64, ...DISK });
      await ready(driver, DISK);
      await driver.command({ cdb: [0, 0, 0, 0, 0, 0], target: 5 });
    });
  });

  it('an event without a buffer is missed, and told when there is one', async () => {
    await same(async (driver) => {
      await change(driver, true);
      await change(driver, false);
      const [place] = await driver.offer(QUEUE.event, [EVENT_BYTES]);
      await driver.kick(QUEUE.event);
      await event(driver, 'missed', place);
      const [next] = await driver.offer(QUEUE.event, [EVENT_BYTES]);
      await change(driver, true);
      await event(driver, 'after it', next);
      await change(driver, false);
    });
  });

  it('a buffer that is too small lays the device down', async () => {
    await same(async (driver) => {
      await driver.offer(QUEUE.event, [EVENT_BYTES - 1]);
      await change(driver, true);
      driver.note('answered', (await driver.taken(QUEUE.event)) === undefined ? 0 : 1);
      await driver.initialise([6, 1]);
      await change(driver, false);
      await ready(driver, DISK);
    });
  });

  it('a driver that did not take HOTPLUG hears nothing', async () => {
    await same(async (driver) => {
      await driver.initialise([4, 1]);
      await driver.offer(QUEUE.event, [EVENT_BYTES]);
      await change(driver, true);
      await change(driver, false);
      await driver.noteInterrupts('quiet');
      await ready(driver, DISK);
      await ready(driver, DISK);
    });
  });

  it('a disk that grows', async () => {
    await same(async (driver) => {
      await ready(driver, SECOND);
      const [place] = await driver.offer(QUEUE.event, [EVENT_BYTES]);
      if (driver.board.name === 'qemu') await qmp.ask('block_resize', { device: 'd1', size: DISK_BYTES / 2 });
      else grow();
      platter.process();
      await event(driver, 'grown', place);
      await ready(driver, SECOND);
      await driver.command({ cdb: [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], into: 8, ...SECOND });
    });
  });
});

/** The second disk becomes twice as large. */
function grow(): void {
  const disk = platter.bus.unit(SECOND.target, SECOND.lun);
  if (!(disk instanceof ScsiDisk)) throw new Error('the second disk is gone');
  Object.assign(disk.node, { virtualSize: DISK_BYTES / 2 });
  disk.capacityChanged();
  platter.parametersChanged(SECOND.target, SECOND.lun, SENSE.capacityChanged);
}

/** The last one may not be quite gone yet: QEMU frees a device after the command that removes it. */
async function plug(): Promise<void> {
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

/**
 * virtio-scsi with packed rings and over MMIO, beside QEMU's: commands, task management and events with every combination of EVENT_IDX
 * and indirect descriptors. What the targets answer to each command stands in virtio-scsi-pci.test.ts.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '#engine/guest/workload.ts';
import { EVENT_BYTES, QUEUE } from '#engine/virtio/scsi/protocol.ts';
import { EVENT_IDX, INDIRECT } from './blk-script.ts';
import { blockCommands, inquiries, randomCommand, rw } from './virtio-scsi-cases.ts';
import { SCSI_PLAIN, type ScsiScriptDriver } from './virtio-scsi-driver.ts';
import {
  bytesOfCommand,
  CD,
  DISK,
  DISK_BYTES,
  lateDisk,
  ready,
  same as compare,
  scsiMachines,
  SECOND,
  type ScsiMachines,
} from './virtio-scsi-machines.ts';

const RINGS = [
  ['plain rings', 0],
  ['indirect descriptors', INDIRECT],
  ['EVENT_IDX', EVENT_IDX],
  ['both', INDIRECT | EVENT_IDX],
] as const;

describe.each([
  { transport: 'pci', packed: true },
  { transport: 'mmio', packed: false },
  { transport: 'mmio', packed: true },
] as const)('virtio-scsi beside QEMU: $transport, packed=$packed', (connection) => {
  let machines: ScsiMachines;
  beforeAll(async () => {
    machines = await scsiMachines(connection);
  });
  afterAll(() => machines?.close());
  const same = (features: number, script: (driver: ScsiScriptDriver) => Promise<void>): Promise<void> =>
    compare(machines, async (driver) => {
      driver.indirect = (features & INDIRECT) !== 0;
      await driver.initialise([SCSI_PLAIN[0] | features, SCSI_PLAIN[1]]);
      await script(driver);
    });

  it('offers the same features', async () => {
    await same(0, async (driver) => {
      for (const half of [0, 1] as const)
        driver.note(`offered ${half}`, await driver.transport.offered(half));
      for (let at = 0; at < 36; at += 4) driver.note(`field ${at}`, await driver.config(at, 4));
    });
  });

  it.each(RINGS)('commands and task management with %s', async (_, features) => {
    await same(features, async (driver) => {
      await ready(driver, DISK);
      for (const script of inquiries().slice(0, 20)) await driver.command({ ...script, ...DISK });
      for (const script of blockCommands(512, DISK_BYTES / 512).slice(0, 30)) {
        await driver.command({ ...script, ...DISK });
        await driver.noteInterrupts('command');
        await driver.noteSuppression('command');
      }
      for (let subtype = 0; subtype <= 9; subtype++) {
        await driver.tmf(subtype, SECOND.target, SECOND.lun, 5);
        await driver.noteInterrupts('tmf');
      }
      await driver.noteSuppression('at the end');
    });
  });

  it.each(RINGS)('interrupts as the driver wants them, with %s', async (_, features) => {
    await same(features, async (driver) => {
      const ring = driver.rings[QUEUE.request];
      await ready(driver, DISK);
      const wishes = ['always', 'never', { after: 0 }, { after: 1 }, { after: 5 }, 'always'] as const;
      for (const when of wishes) {
        // Packed rings know the third kind with EVENT_IDX only.
        if (typeof when === 'object' && (features & EVENT_IDX) === 0) continue;
        await ring.suppress(when);
        for (let i = 0; i < 3; i++) {
          await driver.command({ cdb: rw.read10(i, 1), into: 512, ...DISK });
          await driver.noteInterrupts(JSON.stringify(when));
        }
      }
    });
  });

  it('events: hot-plug, hot-unplug, one that was missed', async () => {
    await same(EVENT_IDX, async (driver) => {
      for (const unit of [DISK, CD]) await ready(driver, unit);
      const hear = async (label: string, place: number): Promise<void> => {
        const used = await driver.taken(QUEUE.event);
        driver.note(`${label} length`, used?.length ?? 0);
        driver.note(`${label} event`, await driver.board.readBytes(place, EVENT_BYTES));
        await driver.noteInterrupts(label);
      };
      driver.indirect = false;
      const [first] = await driver.offer(QUEUE.event, [EVENT_BYTES], 0);
      const [second] = await driver.offer(QUEUE.event, [EVENT_BYTES], 1);
      await lateDisk(machines, driver, true);
      await hear('plugged', first);
      await ready(driver, { target: 5, lun: 0 });
      await lateDisk(machines, driver, false);
      await hear('unplugged', second);
      await lateDisk(machines, driver, true);
      await lateDisk(machines, driver, false);
      const [third] = await driver.offer(QUEUE.event, [EVENT_BYTES], 2);
      await driver.kick(QUEUE.event);
      await hear('missed', third);
    });
  });

  it.each([
    ['a short header', QUEUE.request, [new Uint8Array(30), 108]],
    ['an empty control request', QUEUE.control, [new Uint8Array(3), 1]],
  ] as const)('%s lays the device down until it is reset', async (_, queue, pieces) => {
    await same(0, async (driver) => {
      await driver.offer(queue, pieces);
      await driver.kick(queue);
      driver.note('answered', (await driver.taken(queue)) === undefined ? 0 : 1);
      driver.note('status', await driver.transport.status());
      await driver.initialise();
      // The line of a broken device on MMIO: see the list of differences.
      await driver.board.lines();
      await ready(driver, DISK);
      await driver.command({ cdb: rw.read10(0, 1), into: 512, ...DISK });
      await driver.noteInterrupts('after it');
    });
  });

  it.each([1, 2])('random commands, task management and resets, seed %i', async (seed) => {
    const random = new Random(seed * 77);
    const pick = (most: number): number => Math.floor(random.next() * most);
    const features = RINGS[pick(RINGS.length)][1];
    const start = random.next();
    await same(features, async (driver) => {
      const again = new Random(Math.floor(start * 1e6));
      const choose = (most: number): number => Math.floor(again.next() * most);
      for (let i = 0; i < 50; i++) {
        const script = randomCommand(choose, DISK_BYTES / 512, (source) => bytesOfCommand(source, 512, 0));
        await driver.command({ ...script, ...DISK });
        if (choose(4) === 0) await driver.noteInterrupts('random');
        if (choose(10) === 0) await driver.tmf(choose(9), 0, choose(5), choose(9));
      }
      expect(driver.log.length).toBeGreaterThan(100);
    });
  });
});

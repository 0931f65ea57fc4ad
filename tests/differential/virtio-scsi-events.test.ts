/** Events of virtio-scsi beside QEMU's: hot-plug, hot-unplug, missed ones, changed parameters. */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { ScsiDisk } from '#engine/scsi/disk/disk.ts';
import { SENSE } from '#engine/scsi/sense.ts';
import { EVENT_BYTES, QUEUE } from '#engine/virtio/scsi/protocol.ts';
import { be32 } from './virtio-scsi-cases.ts';
import type { ScsiScriptDriver } from './virtio-scsi-driver.ts';
import {
  CD,
  DISK,
  DISK_BYTES,
  LARGE,
  lateDisk,
  ready,
  same as compare,
  scsiMachines,
  SECOND,
  type ScsiMachines,
} from './virtio-scsi-machines.ts';

let machines: ScsiMachines;
beforeAll(async () => {
  machines = await scsiMachines();
});
afterAll(() => machines?.close());
const same = (script: (driver: ScsiScriptDriver) => Promise<void>): Promise<void> =>
  compare(machines, script);

describe('virtio-scsi-pci beside QEMU: events (section 5.6.6.3)', () => {
  const change = (driver: ScsiScriptDriver, there: boolean): Promise<void> =>
    lateDisk(machines, driver, there);
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
      await driver.initialise();
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
      if (driver.board.name === 'qemu')
        await machines.qmp.ask('block_resize', { device: 'd1', size: DISK_BYTES / 2 });
      else grow();
      machines.platter.process();
      await event(driver, 'grown', place);
      await ready(driver, SECOND);
      await driver.command({ cdb: [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], into: 8, ...SECOND });
    });
  });
});

/** The second disk becomes twice as large. */
function grow(): void {
  const disk = machines.platter.bus.unit(SECOND.target, SECOND.lun);
  if (!(disk instanceof ScsiDisk) || disk.node === undefined) throw new Error('the second disk is gone');
  Object.assign(disk.node, { virtualSize: DISK_BYTES / 2 });
  disk.capacityChanged();
  machines.platter.parametersChanged(SECOND.target, SECOND.lun, SENSE.capacityChanged);
}

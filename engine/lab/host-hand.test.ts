/** What the person does at the host's side of a running laboratory: requests that fail when asked to, and discs that are changed. */
import { describe, expect, it } from 'vitest';
import type { Fault } from '#contract/lab-host.ts';
import type { Workload } from '#contract/settings.ts';
import type { RemovableDrive } from '../block/medium.ts';
import { E } from '../trace/registry.ts';
import { arrayNode } from '../virtio/testing/rig.ts';
import { HostHand, trayView } from './host-hand.ts';
import { diskOf, look, openLab, still } from './testing/still.ts';
import type { Lab } from './types.ts';

const BYTES = 256 * 1024;

function open(line: string, workload: Partial<Workload> = {}, readOnly = false): Lab {
  const nodes = new Map(['d0', 'd1'].map((id) => [id, arrayNode(BYTES, readOnly)]));
  return openLab(line, (id) => nodes.get(id), workload);
}

describe('requests that are to fail', () => {
  const DRIVE = '-drive file=a.img,if=none,id=d0,format=raw';
  const DEVICES = [
    ['virtio-blk', '-device virtio-blk-pci,drive=d0'],
    ['scsi-hd', '-device virtio-scsi-pci -device scsi-hd,drive=d0'],
    ['ide-hd', '-device ide-hd,drive=d0'],
  ] as const;

  it.each(DEVICES)('stop the machine as often as they fail, and are done then: %s', async (_, device) => {
    const lab = open(`${DRIVE} ${device}`);
    const fault: Fault = { operation: 'write', error: 'ENOSPC', count: 2 };
    lab.fault(fault);
    expect(diskOf(lab).fault).toEqual(fault);
    for (const left of [{ ...fault, count: 1 }, null]) {
      lab.run();
      await still(lab);
      expect(lab.error).toMatchObject({ code: 'lab.io-error', context: { value: 'ENOSPC' } });
      expect(diskOf(lab).fault).toEqual(left);
    }
    lab.run();
    await lab.done();
    expect(lab.state).toBe('finished');
    expect(lab.trace.counts[E.BLOCK_IO_ERROR]).toBe(2);
    expect(look(lab).counters).toMatchObject({ errors: 0, writes: 8 });
  });

  it.each(DEVICES)('are reported to the guest when it is EIO, or ignored: %s', async (_, device) => {
    // Linux sends a SCSI command again when it was aborted, which is what QEMU's disks say of EIO.
    for (const [policy, errors] of [
      ['', device.includes('scsi') ? 0 : 3],
      [',werror=ignore', 0],
    ] as const) {
      const lab = open(`${DRIVE} ${device}${policy}`);
      lab.fault({ operation: 'write', error: 'EIO', count: 3 });
      lab.run();
      await lab.done();
      expect(lab.trace.counts[E.BLOCK_IO_ERROR]).toBe(3);
      expect(look(lab).counters).toMatchObject({ errors });
    }
  });

  it('are of the kind that was asked for, and of that disk alone; starting over forgets them', async () => {
    const line = `${DRIVE} -drive file=b.img,if=none,id=d1 -device virtio-blk-pci,drive=d0 -device virtio-blk-pci,drive=d1`;
    const lab = open(line, { disks: ['d0', 'd1'], fsync: 4 });
    lab.fault({ operation: 'read', error: 'EIO', count: 5 }, 0);
    lab.fault({ operation: 'flush', error: 'EIO', count: 1 }, 1);
    lab.run();
    await lab.done();
    expect([0, 1].map((disk) => diskOf(lab, disk).counters.errors)).toEqual([0, 1]);
    expect(diskOf(lab, 0).fault).toMatchObject({ count: 5 });
    await lab.reset();
    expect(diskOf(lab, 0).fault).toBeNull();
  });
});

describe('a tray', () => {
  const DISC = '-drive file=a.iso,if=none,id=d0,media=cdrom';
  const DRIVES = [
    ['ide-cd', `${DISC} -device ide-cd,drive=d0`],
    ['ide-cd without DMA', `${DISC} -device ide-cd,drive=d0 -append libata.dma=0`],
    ['AHCI', `-M q35 ${DISC} -device ide-cd,drive=d0`],
    ['scsi-cd', `${DISC} -device virtio-scsi-pci -device scsi-cd,drive=d0`],
  ] as const;
  const READ: Partial<Workload> = { rw: 'read', numberIos: BYTES / 4096 };

  it.each(DRIVES)('is emptied and filled while the guest reads, which hears of both: %s', async (_, line) => {
    const lab = open(line, READ, true);
    const locked = { open: false, locked: true, medium: 'array' };
    expect(diskOf(lab).tray).toEqual(locked);
    for (let i = 0; i < 8; i++) await lab.step('request');
    expect(look(lab).counters).toMatchObject({ requests: 8, errors: 0 });
    // The guest holds it; QMP's `eject` says so, and `blockdev-open-tray` asks the guest without a word.
    const refusal = expect.objectContaining({ code: 'medium.locked' }) as Error;
    expect(() => lab.moveTray('eject')).toThrow(refusal);
    expect(() => lab.insert(arrayNode(BYTES, true))).toThrow(refusal);
    lab.moveTray('open');
    await lab.step('request');
    expect(diskOf(lab).tray).toEqual(locked);
    expect(lab.trace.counts[E.DEVICE_TRAY_MOVED]).toBe(0);
    lab.moveTray('eject', true);
    expect(diskOf(lab).tray).toEqual({ open: true, locked: false, medium: null });
    for (let i = 0; i < 8; i++) await lab.step('request');
    const { errors } = look(lab).counters;
    expect(errors).toBeGreaterThan(0);
    lab.insert({ ...arrayNode(BYTES, true), name: 'other' });
    expect(diskOf(lab).tray).toEqual({ open: false, locked: false, medium: 'other' });
    lab.run();
    await lab.done();
    expect(lab.error).toBeUndefined();
    expect(lab.state).toBe('finished');
    expect(lab.trace.counts[E.DEVICE_TRAY_MOVED]).toBe(2);
    // One more hears that the medium is gone. Linux's SCSI layer also lets the one fail that hears of the new one.
    expect(look(lab).counters.errors).toBe(errors + (line.includes('scsi') ? 2 : 1));
  });

  it.each(DRIVES)(
    'is locked while the programs have the disc open, and free when they are done: %s',
    async (_, line) => {
      const lab = open(line, READ, true);
      expect(diskOf(lab).tray?.locked).toBe(true);
      lab.run();
      await lab.done();
      expect(lab.error).toBeUndefined();
      expect(look(lab).counters).toMatchObject({ errors: 0 });
      expect(diskOf(lab).tray?.locked).toBe(false);
      // A hostile driver's attack ends with the device initialised anew, and leaves the door as it found it.
      const [attack] = lab.attacks();
      expect(await lab.attack(attack.id)).toMatchObject({ recovered: true });
      expect(diskOf(lab).tray?.locked).toBe(false);
      lab.moveTray('eject');
      expect(diskOf(lab).tray).toEqual({ open: true, locked: false, medium: null });
      await lab.reset();
      expect(diskOf(lab).tray?.locked).toBe(true);
    },
  );

  it('whose disc is changed: the host is asked for the new one as for the old one', async () => {
    const line =
      '-drive file=a.img,if=none,id=d0 -drive file=b.iso,if=none,id=d1,media=cdrom,aio=io_uring ' +
      '-device virtio-blk-pci,drive=d0 -device ide-cd,drive=d1';
    const lab = open(line, { ...READ, disks: ['d0', 'd1'] }, true);
    lab.insert(arrayNode(BYTES, true), true, 1);
    lab.run();
    await lab.done();
    const { counts } = lab.trace;
    expect(counts[E.file_paio_submit]).toBe(64);
    expect(counts[E.luring_co_submit]).toBeGreaterThan(60);
  });

  it.each(DRIVES)('is asked for in vain at any moment, and the guest reads on: %s', async (_, line) => {
    const lab = open(line, { ...READ, iodepth: 4 }, true);
    for (let i = 0; lab.state !== 'finished' && lab.state !== 'failed'; i++) {
      for (let events = 0; events < 331; events++) await lab.step('event');
      if (lab.state === 'paused') expect(() => lab.moveTray('eject')).toThrow();
    }
    expect(lab.error).toBeUndefined();
    expect(look(lab).counters).toMatchObject({ requests: BYTES / 4096, errors: 0 });
  });

  it.each(DRIVES)('can be moved at any moment: %s', async (_, line) => {
    const lab = open(line, { ...READ, iodepth: 4 }, true);
    for (let i = 0; lab.state !== 'finished' && lab.state !== 'failed'; i++) {
      for (let events = 0; events < 37; events++) await lab.step('event');
      lab.moveTray(i % 2 === 0 ? 'open' : 'close', true);
    }
    expect(lab.error).toBeUndefined();
    expect(look(lab).counters.requests).toBe(BYTES / 4096);
  });

  it.each(DRIVES)('makes inserted discs fail as well: %s', async (_, line) => {
    const lab = open(line, READ, true);
    lab.fault({ operation: 'read', error: 'EIO', count: 2 });
    lab.insert(arrayNode(BYTES, true), true);
    lab.run();
    await lab.done();
    expect(diskOf(lab).fault).toBeNull();
    // QEMU tells of none that its data port's reader meets.
    expect(lab.trace.counts[E.BLOCK_IO_ERROR]).toBe(line.includes('libata.dma=0') ? 0 : 2);
  });

  it('that the guest has locked stays shut, and the guest is asked', () => {
    const asked: boolean[] = [];
    const drive: RemovableDrive = {
      medium: arrayNode(BYTES, true),
      trayOpen: false,
      trayLocked: true,
      setMedium: () => expect.unreachable(),
      changeMedia: () => expect.unreachable(),
      ejectRequest: (force) => void asked.push(force),
    };
    const hand = new HostHand();
    const locked = expect.objectContaining({ code: 'medium.locked' }) as Error;
    expect(() => hand.move(drive, 'eject', false)).toThrow(locked);
    expect(() => hand.insert(drive, arrayNode(BYTES, true), false)).toThrow(locked);
    hand.move(drive, 'open', false);
    expect(asked).toEqual([false, false, false]);
    expect(trayView(drive)).toEqual({ open: false, locked: true, medium: 'array' });
  });

  it('is none of a disk whose medium stays in it', () => {
    const lab = open('-drive file=a.img,if=none,id=d0 -device ide-hd,drive=d0');
    expect(diskOf(lab).tray).toBeNull();
    expect(() => lab.moveTray('eject')).toThrow(expect.objectContaining({ code: 'lab.no-tray' }));
    expect(() => lab.insert(arrayNode(BYTES))).toThrow(expect.objectContaining({ code: 'lab.no-tray' }));
  });
});

/** `rerror=stop`, `werror=stop` and `enospc` in the laboratory: the machine stands still, says why, and tries again when it is run on. */
import { describe, expect, it } from 'vitest';
import { PlatterError } from '../errors.ts';
import { E } from '../trace/registry.ts';
import { arrayNode } from '../virtio/testing/rig.ts';
import { look, openLab, still } from './testing/still.ts';

/** A disk whose writes fail for as long as `full` says so. */
function open(line: string, canStop: boolean) {
  const good = arrayNode(1024 * 1024);
  const state = { full: true };
  const node = {
    ...good,
    write: (offset: number, source: Uint8Array) => {
      if (state.full) throw new PlatterError('storage.no-space', 'full');
      return good.write(offset, source);
    },
  };
  const lab = openLab(`-drive file=a.img,if=none,id=d0,format=raw ${line}`, () => node, {}, canStop);
  return { lab, state };
}

describe('a machine that an error of the host stops', () => {
  it.each([
    ['virtio-blk', '-device virtio-blk-pci,drive=d0'],
    ['scsi-hd', '-device virtio-scsi-pci,id=s -device scsi-hd,drive=d0,bus=s.0'],
    ['ide-hd by DMA', '-device ide-hd,drive=d0'],
    ['ide-hd by PIO', '-device ide-hd,drive=d0 -append libata.dma=0'],
    ['AHCI', '-machine q35 -device ide-hd,drive=d0'],
  ])('stands still, twice, and goes on: %s', async (_, line) => {
    const { lab, state } = open(line, true);
    for (const time of [1, 2]) {
      lab.run();
      await still(lab);
      expect(lab.state).toBe('paused');
      expect(lab.error).toMatchObject({ code: 'lab.io-error', context: { field: 'write', value: 'ENOSPC' } });
      expect(lab.trace.counts[E.BLOCK_IO_ERROR]).toBe(time);
    }
    state.full = false;
    lab.run();
    await lab.done();
    expect(lab.error).toBeUndefined();
    expect(lab.trace.counts[E.io_getevents]).toBe(8);
    expect(look(lab).counters).toMatchObject({ errors: 0 });
  });

  it('steps on as well', async () => {
    const { lab, state } = open('-device virtio-blk-pci,drive=d0,werror=stop', true);
    await lab.step('request');
    expect(lab.error?.code).toBe('lab.io-error');
    state.full = false;
    await lab.step('request');
    expect(lab.error).toBeUndefined();
    expect(lab.trace.counts[E.io_getevents]).toBe(1);
  });

  it('report and ignore do not stop it, and nothing does where nobody could let it run on', async () => {
    for (const [line, canStop, errors] of [
      ['-device virtio-blk-pci,drive=d0,werror=report', true, 8],
      ['-device virtio-blk-pci,drive=d0,werror=ignore', true, 0],
      ['-device virtio-blk-pci,drive=d0', false, 8],
    ] as const) {
      const { lab } = open(line, canStop);
      lab.run();
      await lab.done();
      expect(look(lab).counters).toMatchObject({ errors });
    }
  });
});

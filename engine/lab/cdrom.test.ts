/** CD-ROM drives on IDE and AHCI in the laboratory: packets by DMA and through the data port, blocks of 2048 bytes, nothing written. */
import { describe, expect, it } from 'vitest';
import type { Workload } from '#contract/settings.ts';
import { parseCommandLine } from '../qemu/parse.ts';
import { E } from '../trace/registry.ts';
import { arrayNode } from '../virtio/testing/rig.ts';
import { createLab } from './lab.ts';

const BYTES = 256 * 1024;
const WORKLOAD: Workload = {
  rw: 'read',
  bs: 4096,
  iodepth: 2,
  numberIos: BYTES / 4096,
  offset: 0,
  size: 0,
  rwmixread: 50,
  seed: 7,
  fsync: 0,
};

/** A lab over a disc that knows what was read of it. */
function open(line: string, workload: Partial<Workload> = {}) {
  const disc = arrayNode(BYTES, true);
  const blocks = new Set<number>();
  const node = {
    ...disc,
    read: (offset: number, target: Uint8Array) => {
      for (let at = 0; at < target.length; at += 2048) blocks.add((offset + at) / 2048);
      return disc.read(offset, target);
    },
  };
  const lab = createLab({
    line: parseCommandLine(line),
    drives: () => node,
    workload: { ...WORKLOAD, ...workload },
  });
  return { lab, blocks };
}

const NONE = '-drive file=a.iso,if=none,id=d0,media=cdrom';

describe('a CD-ROM drive', () => {
  it.each([
    ['-cdrom', '-cdrom a.iso', true],
    ['media=cdrom', '-drive file=a.iso,media=cdrom', true],
    ['ide-cd', `${NONE} -device ide-cd,drive=d0,bus=ide.1,unit=1`, true],
    ['through the data port', `${NONE} -device ide-cd,drive=d0 -append libata.dma=0`, false],
    ['-cdrom on a q35', '-machine q35 -cdrom a.iso', true],
    ['AHCI', `${NONE} -device ahci,id=s -device ide-cd,drive=d0,bus=s.1`, true],
  ])('is read to its end by packets: %s', async (_, line, dma) => {
    const { lab, blocks } = open(line);
    lab.run();
    await lab.done();
    expect(lab.error).toBeUndefined();
    expect([...blocks].toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: BYTES / 2048 }, (_each, i) => i),
    );
    const { counts } = lab.trace;
    expect(counts[E.io_getevents]).toBe(WORKLOAD.numberIos);
    expect(counts[E.atapi_send_cdb]).toBe(WORKLOAD.numberIos);
    expect(counts[E.ide_atapi_cmd_read]).toBe(WORKLOAD.numberIos);
    expect(counts[dma ? E.ide_atapi_cmd_read_dma_cb_aio : E.cd_read_sector]).toBeGreaterThan(0);
  });

  it('refuses to be written, and blocks that no disc has', () => {
    const line = '-cdrom a.iso';
    expect(() => open(line, { rw: 'randwrite' })).toThrow(
      expect.objectContaining({ code: 'lab.cd-read-only' }),
    );
    expect(() => open(line, { bs: 512 })).toThrow(expect.objectContaining({ code: 'workload.block-size' }));
    expect(() => open(line, { offset: 512 })).toThrow(
      expect.objectContaining({ code: 'workload.block-size' }),
    );
  });
});

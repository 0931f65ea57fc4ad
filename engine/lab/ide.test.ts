/** IDE and AHCI disks in the laboratory: the guest's bytes reach the image, and every register costs an exit. */
import { describe, expect, it } from 'vitest';
import type { Workload } from '#contract/settings.ts';
import { openImage } from '../block/graph.ts';
import { MemoryStorage } from '../block/storage/memory.ts';
import { fillPattern } from '../guest/workload.ts';
import { parseCommandLine } from '../qemu/parse.ts';
import { E } from '../trace/registry.ts';
import { createLab } from './lab.ts';

const WORKLOAD: Workload = {
  rw: 'write',
  bs: 16384,
  iodepth: 4,
  numberIos: 40,
  offset: 0,
  size: 0,
  rwmixread: 50,
  seed: 7,
  fsync: 10,
};
const BYTES = 40 * 16384;

async function run(line: string, workload: Partial<Workload> = {}) {
  const { node } = await openImage(new MemoryStorage(2 * 1024 * 1024), { format: 'raw', readOnly: false });
  const lab = createLab({
    line: parseCommandLine(line),
    drives: () => node,
    workload: { ...WORKLOAD, ...workload },
  });
  lab.run();
  await lab.done();
  expect(lab.error).toBeUndefined();
  expect(lab.state).toBe('finished');
  const found = new Uint8Array(BYTES);
  await node.read(0, found);
  return { lab, found, counts: lab.trace.counts };
}

const NONE = '-drive file=a.img,if=none,id=d0,format=raw';

describe('an IDE disk', () => {
  it.each([
    ['-hda', '-hda a.img'],
    ['-hdd', '-hdd a.img'],
    ['if=ide', '-drive file=a.img,if=ide,format=raw'],
    ['ide-hd', `${NONE} -device ide-hd,drive=d0,bus=ide.0`],
    ['ide-hd on the second channel', `${NONE} -device ide-hd,drive=d0,bus=ide.1,unit=1`],
    ['PIO', `${NONE} -device ide-hd,drive=d0 -append libata.dma=0`],
    ['two CPUs', `${NONE} -device ide-hd,drive=d0 -smp 2`],
  ])('takes what the guest writes: %s', async (_, line) => {
    const { found } = await run(line);
    const pattern = new Uint8Array(BYTES);
    for (let at = 0; at < BYTES; at += WORKLOAD.bs)
      fillPattern(new DataView(pattern.buffer, at, WORKLOAD.bs), at, WORKLOAD.seed);
    expect(Buffer.compare(found, pattern)).toBe(0);
  });

  it('costs exits for every register: more than virtio by far, and PIO moves each word by itself', async () => {
    const read: Partial<Workload> = { rw: 'randread', bs: 4096, iodepth: 1, fsync: 0 };
    const virtio = await run(`${NONE} -device virtio-blk-pci,drive=d0`, read);
    const dma = await run(`${NONE} -device ide-hd,drive=d0`, read);
    const pio = await run(`${NONE} -device ide-hd,drive=d0 -append libata.dma=0`, read);
    const exits = ({ counts }: typeof dma): number => counts[E.kvm_exit] / 40;
    expect(exits(dma)).toBeGreaterThan(5 * exits(virtio));
    expect(dma.counts[E.ide_data_readl]).toBe(128);
    expect(pio.counts[E.ide_data_readl]).toBe(128 + 40 * 1024);
    expect(pio.counts[E.ide_sector_read]).toBe(40);
  });
});

describe('an AHCI disk', () => {
  const pattern = new Uint8Array(BYTES);
  for (let at = 0; at < BYTES; at += WORKLOAD.bs)
    fillPattern(new DataView(pattern.buffer, at, WORKLOAD.bs), at, WORKLOAD.seed);

  it.each([
    ["on the q35's own controller", `-M q35 ${NONE} -device ide-hd,drive=d0,bus=ide.3`],
    ['-hda of a q35', '-M q35 -hda a.img'],
    ['-device ahci', `${NONE} -device ahci,id=sata,addr=5 -device ide-hd,drive=d0,bus=sata.2`],
  ])('takes what the guest writes: %s', async (_, line) => {
    const { found, counts } = await run(line);
    expect(Buffer.compare(found, pattern)).toBe(0);
    // Neighbours that wait together become one request.
    expect(counts[E.ncq_finish]).toBeGreaterThan(10);
  });

  it('needs far fewer exits than IDE, and queues commands', async () => {
    const read: Partial<Workload> = { rw: 'randread', bs: 4096, iodepth: 8, fsync: 0 };
    const ahci = await run(`-M q35 ${NONE} -device ide-hd,drive=d0`, read);
    const ide = await run(`${NONE} -device ide-hd,drive=d0`, read);
    expect(ide.counts[E.kvm_exit]).toBeGreaterThan(2 * ahci.counts[E.kvm_exit]);
    expect(ahci.counts[E.ahci_write_fis_sdb]).toBe(40);
    expect(ahci.lab.trace.counts[E.io_getevents]).toBe(40);
  });
});

describe('a disk that cannot read one place', () => {
  it.each([
    ['IDE, DMA', `${NONE} -device ide-hd,drive=d0`],
    ['IDE, PIO', `${NONE} -device ide-hd,drive=d0 -append libata.dma=0`],
    ['AHCI', `-M q35 ${NONE} -device ide-hd,drive=d0`],
  ])('%s: the program sees the error, and everything else goes on', async (_, line) => {
    const { node } = await openImage(new MemoryStorage(1024 * 1024), { format: 'raw', readOnly: false });
    const read = node.read.bind(node);
    node.read = (offset, target) => {
      if (offset <= 65536 && offset + target.length > 65536) throw new Error('bad sector');
      return read(offset, target);
    };
    const workload: Workload = { ...WORKLOAD, rw: 'read', bs: 4096, numberIos: 256, fsync: 0 };
    const lab = createLab({ line: parseCommandLine(line), drives: () => node, workload });
    lab.run();
    await lab.done();
    expect(lab.state).toBe('finished');
    const { counters } = lab.frame({ seq: 1, from: 0, count: 0, requestId: null, queue: null });
    expect(counters).toMatchObject({ requests: 256 });
    expect(lab.trace.counts[E.io_getevents]).toBe(256);
    expect(counters.errors).toBeGreaterThan(0);
    // Neighbours in the same request fail with it.
    expect(counters.errors).toBeLessThanOrEqual(4);
  });
});

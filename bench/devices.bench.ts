/**
 * What one request of 4 KiB costs on each controller, through the whole laboratory: exits, interrupts and model time of every kind of
 * hardware that the guest can drive, beside virtio-blk over PCI with split rings in the same run.
 */
import type { Workload } from '#contract/settings.ts';
import { openImage } from '#engine/block/graph.ts';
import { MemoryStorage } from '#engine/block/storage/memory.ts';
import { createLab } from '#engine/lab/lab.ts';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import { E } from '#engine/trace/registry.ts';
import type { BenchLine } from './bench.ts';

export const name = 'devices';

const REQUESTS = 2000;
const DISK_BYTES = 8 * 1024 * 1024;
const NONE = '-drive file=a.img,if=none,id=d0,format=raw';
const SCSI = `${NONE} -device scsi-hd,drive=d0,bus=s0.0`;
const LINES: readonly [string, string][] = [
  ['virtio-blk, packed', `${NONE} -device virtio-blk-pci,drive=d0,packed=on`],
  ['virtio-blk without EVENT_IDX', `${NONE} -device virtio-blk-pci,drive=d0,event_idx=off`],
  ['virtio-blk without ioeventfd', `${NONE} -device virtio-blk-pci,drive=d0,ioeventfd=off`],
  ['virtio-blk, legacy', `${NONE} -device virtio-blk-pci,drive=d0,disable-modern=on`],
  ['virtio-blk over MMIO', `-M microvm ${NONE} -device virtio-blk-device,drive=d0`],
  ['virtio-scsi', `-device virtio-scsi-pci,id=s0 ${SCSI}`],
  ['virtio-scsi, packed', `-device virtio-scsi-pci,id=s0,packed=on ${SCSI}`],
  ['IDE, PIO', `${NONE} -device ide-hd,drive=d0 -append libata.dma=0`],
  ['IDE, DMA', `${NONE} -device ide-hd,drive=d0`],
  ['AHCI', `-M q35 ${NONE} -device ide-hd,drive=d0`],
];
const PEER = `${NONE} -device virtio-blk-pci,drive=d0`;

interface Figures {
  /** Of one request. */
  exits: number;
  interrupts: number;
  modelUs: number;
}

async function measure(line: string, iodepth: number): Promise<Figures> {
  const { node } = await openImage(new MemoryStorage(DISK_BYTES), { format: 'raw', readOnly: true });
  const workload: Workload = {
    rw: 'randread',
    bs: 4096,
    iodepth,
    numberIos: REQUESTS,
    offset: 0,
    size: 0,
    rwmixread: 100,
    seed: 1,
    fsync: 0,
  };
  const lab = createLab({ line: parseCommandLine(line), drives: () => node, workload });
  const before = lab.trace.counts.slice();
  const began = lab.trace.modelNs;
  lab.run();
  await lab.done();
  if (lab.error !== undefined) throw new Error(lab.error.message);
  const of = (event: number): number => (lab.trace.counts[event] - before[event]) / REQUESTS;
  return {
    exits: of(E.kvm_exit),
    interrupts: of(E.irq_handler_entry),
    modelUs: (lab.trace.modelNs - began) / 1000 / REQUESTS,
  };
}

export async function run(report: (line: BenchLine) => void): Promise<void> {
  for (const iodepth of [1, 8]) {
    const theirs = await measure(PEER, iodepth);
    for (const [kind, line] of LINES) {
      const ours = await measure(line, iodepth);
      const what = `4k randread, depth ${iodepth}, ${kind}`;
      const each = (key: keyof Figures, unit: string): void =>
        report({ what, ours: ours[key], theirs: theirs[key], peer: 'virtio-blk', unit, better: 'lower' });
      each('exits', 'exits/request');
      each('interrupts', 'interrupts/request');
      each('modelUs', 'µs/request by the model clock');
    }
  }
}

/** The same disk on every transport of virtio: the same bytes in the image, another number of exits. */
import { describe, expect, it } from 'vitest';
import type { Workload } from '#contract/settings.ts';
import { openImage } from '../block/graph.ts';
import { MemoryStorage } from '../block/storage/memory.ts';
import { fillPattern } from '../guest/workload.ts';
import { parseCommandLine } from '../qemu/parse.ts';
import { findEvents } from '../trace/query.ts';
import { E } from '../trace/registry.ts';
import type { TraceRing } from '../trace/ring.ts';
import { decodeRow, ROW_WORDS } from '../trace/row.ts';
import { createLab } from './lab.ts';

const DRIVE = '-drive file=a.img,if=none,id=d0,format=raw';
const WORKLOAD: Workload = {
  rw: 'write',
  bs: 4096,
  iodepth: 4,
  numberIos: 64,
  offset: 0,
  size: 0,
  rwmixread: 50,
  seed: 7,
  fsync: 0,
};
const BYTES = 64 * 4096;

async function run(line: string, workload: Workload = WORKLOAD) {
  const { node } = await openImage(new MemoryStorage(1024 * 1024), { format: 'raw', readOnly: false });
  const lab = createLab({
    line: parseCommandLine(`${DRIVE} ${line}`),
    drives: () => node,
    workload,
  });
  lab.run();
  await lab.done();
  expect(lab.error).toBeUndefined();
  const found = new Uint8Array(BYTES);
  await node.read(0, found);
  return { trace: lab.trace, found };
}

const count = (trace: TraceRing, event: number): number =>
  findEvents(trace, 0, trace.capacity, { events: new Set([event]) }).length;

describe('buses', () => {
  it.each([
    ['a root port', '-M q35 -device pcie-root-port,id=rp,addr=3 -device virtio-blk-pci,bus=rp,drive=d0'],
    [
      'a bridge behind a bridge, with a line',
      '-device pci-bridge,id=b1,chassis_nr=1 -device pci-bridge,id=b2,bus=b1,chassis_nr=2 ' +
        '-device virtio-blk-pci,bus=b2,addr=3,drive=d0,vectors=0',
    ],
    [
      'a legacy device behind a bridge',
      '-device pci-bridge,id=b1,chassis_nr=1 -device virtio-blk-pci,bus=b1,drive=d0,disable-modern=on',
    ],
  ])('the disk works behind %s', async (_, line) => {
    const { found } = await run(line);
    const pattern = new Uint8Array(BYTES);
    fillPattern(new DataView(pattern.buffer), 0, WORKLOAD.seed);
    expect(Buffer.compare(found, pattern)).toBe(0);
  });

  it('says when there is no such bus', () => {
    const line = parseCommandLine(`${DRIVE} -device virtio-blk-pci,bus=pci.9,drive=d0`);
    const wanted = expect.objectContaining({ code: 'lab.unknown-bus' }) as Error;
    expect(() => createLab({ line, drives: () => undefined, workload: WORKLOAD })).toThrowError(wanted);
  });
});

describe('transports of virtio-scsi', () => {
  const story = async (line: string): Promise<string[]> => {
    const { trace, found } = await run(`${line} -device scsi-hd,drive=d0`, { ...WORKLOAD, iodepth: 1 });
    const pattern = new Uint8Array(BYTES);
    fillPattern(new DataView(pattern.buffer), 0, WORKLOAD.seed);
    expect(Buffer.compare(found, pattern)).toBe(0);
    expect(count(trace, E.kvm_fast_mmio)).toBeGreaterThan(0);
    const last = trace.requestAt(trace.total - 1);
    const rows = trace.copy(findEvents(trace, 0, trace.capacity, { requestId: last }));
    const names = Array.from({ length: rows.length / ROW_WORDS }, (_, i) => decodeRow(rows, i).name);
    // What lies between, exits and interrupt controllers, belongs to the machine.
    return names.filter((name) => /virt|scsi/.test(name));
  };

  it.each([
    ['version 1', ''],
    ['version 2', '-global virtio-mmio.force-legacy=off'],
  ])('MMIO, %s, on a microvm: the same story as over PCI', async (_, globals) => {
    const mmio = await story(`-M microvm ${globals} -device virtio-scsi-device`);
    expect(mmio).toContain('virtio_scsi_cmd_req');
    // QEMU tells of this transport's line.
    expect(mmio).toContain('virtio_mmio_setting_irq');
    const rest = mmio.filter((name) => name !== 'virtio_mmio_setting_irq');
    expect(rest).toEqual(await story('-M q35 -device virtio-scsi-pci,vectors=0'));
  });
});

describe('transports of virtio-blk', () => {
  it.each([
    ['transitional', '-device virtio-blk-pci,drive=d0', { ports: false, lines: false }],
    ['modern only', '-device virtio-blk-pci-non-transitional,drive=d0', { ports: false, lines: false }],
    ['legacy only', '-device virtio-blk-pci,drive=d0,disable-modern=on', { ports: true, lines: false }],
    [
      'legacy only without MSI-X',
      '-device virtio-blk-pci,drive=d0,disable-modern=on,vectors=0',
      { ports: true, lines: true },
    ],
    ['MMIO, version 1', '-M microvm -device virtio-blk-device,drive=d0', { ports: false, lines: true }],
    [
      'MMIO, version 2',
      '-M microvm -global virtio-mmio.force-legacy=off -device virtio-blk-device,drive=d0',
      { ports: false, lines: true },
    ],
  ])('%s', async (_, line, wanted) => {
    const { trace, found } = await run(line);
    const pattern = new Uint8Array(BYTES);
    fillPattern(new DataView(pattern.buffer), 0, WORKLOAD.seed);
    expect(Buffer.compare(found, pattern)).toBe(0);
    // A doorbell in I/O space is an access to a port, in memory a fast exit of its own.
    const completions = count(trace, E.virtblk_done);
    expect(completions).toBeGreaterThan(0);
    expect(count(trace, E.kvm_fast_mmio) > 0).toBe(!wanted.ports);
    // With a line the handler has to ask the device why; with messages it knows.
    expect(count(trace, E.kvm_set_irq) > 0).toBe(wanted.lines);
    expect(count(trace, E.kvm_msi_set_irq) > 0).toBe(!wanted.lines);
  });
});

describe('lines', () => {
  it('of ISA also arrive at the 8259A, where the kernel has masked them', async () => {
    const { node } = await openImage(new MemoryStorage(1024 * 1024), { format: 'raw', readOnly: false });
    const lab = createLab({
      line: parseCommandLine(`${DRIVE} -device virtio-blk-pci,drive=d0,addr=4,vectors=0`),
      drives: () => node,
      workload: WORKLOAD,
    });
    lab.run();
    await lab.done();
    const frame = lab.frame({ seq: 1, from: 0, count: 0, requestId: null, queue: null, details: 'pic' });
    const value = (wanted: string) => frame.details?.fields.find(({ name }) => name === wanted)?.value;
    // Slot 4 of a pc: PIRQ D, which SeaBIOS sends to interrupt 11.
    expect(value('IRQ 11')).toBe(count(lab.trace, E.irq_handler_entry));
    expect(value('IMR (second)')).toBe(0xff);
  });

  it('arrive through the pin of the I/O APIC that the kernel asked for, once for each interrupt', async () => {
    const { node } = await openImage(new MemoryStorage(1024 * 1024), { format: 'raw', readOnly: false });
    const lab = createLab({
      line: parseCommandLine(`${DRIVE} -M q35 -device virtio-blk-pci,drive=d0,addr=4,vectors=0`),
      drives: () => node,
      workload: WORKLOAD,
    });
    lab.run();
    await lab.done();
    const frame = lab.frame({ seq: 1, from: 0, count: 0, requestId: null, queue: null, details: 'ioapic' });
    // Slot 4 and INTA: line 20 of a q35, as QEMU's own reports it.
    const pin = frame.details?.fields.find(({ name }) => name === 'pin 20');
    expect(pin?.value).toBe(count(lab.trace, E.irq_handler_entry));
    expect(
      frame.details?.fields.filter(({ name }) => name === 'Remote IRR').map(({ value }) => value),
    ).toEqual([0, 0, 0, 0, 0, 0]);
  });
});

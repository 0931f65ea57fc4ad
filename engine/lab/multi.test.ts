/** Several disks of the line at once: what they share on their controllers, and that nobody gets another's data. */
import { describe, expect, it } from 'vitest';
import type { LabFrame } from '#contract/lab.ts';
import type { Workload } from '#contract/settings.ts';
import { fillPattern } from '../guest/workload.ts';
import { parseCommandLine } from '../qemu/parse.ts';
import { findEvents, requestHistory } from '../trace/query.ts';
import { E } from '../trace/registry.ts';
import { decodeRow, ROW_WORDS, type TraceRow } from '../trace/row.ts';
import { arrayNode } from '../virtio/testing/rig.ts';
import { createLab } from './lab.ts';
import type { Lab } from './types.ts';

const MIB = 1024 * 1024;
const WORKLOAD: Workload = {
  rw: 'write',
  bs: 4096,
  iodepth: 4,
  numberIos: 64,
  offset: 0,
  size: 0,
  rwmixread: 50,
  seed: 11,
  fsync: 0,
};
const DRIVES = ['d0', 'd1', 'd2', 'd3'];
const BACK = DRIVES.map((id) => `-drive file=${id}.img,if=none,id=${id},format=raw`).join(' ');

type Node = ReturnType<typeof arrayNode>;

async function run(line: string, disks: string[], workload: Partial<Workload> = {}) {
  const nodes = new Map<string, Node>(disks.map((id) => [id, arrayNode(MIB)]));
  const lab = createLab({
    line: parseCommandLine(line),
    drives: (id) => nodes.get(id),
    workload: { ...WORKLOAD, ...workload, disks },
    traceEvents: 1 << 18,
  });
  const boot = lab.trace.total;
  lab.run();
  await lab.done();
  expect(lab.error).toBeUndefined();
  return { lab, boot, nodes: [...nodes.values()] };
}

const frameOf = (lab: Lab, disk = 0, queue: number | null = null): LabFrame =>
  lab.frame({ seq: 1, from: 0, count: 0, requestId: null, queue, disk });

/** The events with these numbers after the boot, in order. */
function events(lab: Lab, boot: number, ...wanted: number[]): TraceRow[] {
  const numbers = findEvents(lab.trace, boot, lab.trace.capacity, { events: new Set(wanted) });
  const rows = lab.trace.copy(numbers);
  return Array.from({ length: rows.length / ROW_WORDS }, (_, i) => decodeRow(rows, i));
}

/** What disk number `disk` holds after `WORKLOAD`: computed, not read from anything that the lab keeps. */
function written(disk: number): Uint8Array {
  const bytes = new Uint8Array(64 * 4096);
  fillPattern(new DataView(bytes.buffer), 0, WORKLOAD.seed + disk);
  return bytes;
}

const SCSI = `${BACK} -device virtio-scsi-pci,id=s0`;
const MIXES: [string, string, string[]][] = [
  [
    'LUNs of one target',
    `${SCSI} -device scsi-hd,drive=d0,scsi-id=1,lun=0 -device scsi-hd,drive=d1,scsi-id=1,lun=3`,
    ['d0', 'd1'],
  ],
  ['targets', `${SCSI} -device scsi-hd,drive=d0 -device scsi-hd,drive=d1 -smp 2`, ['d0', 'd1']],
  [
    'master and slave',
    `${BACK} -device ide-hd,drive=d0,bus=ide.0,unit=0 -device ide-hd,drive=d1,bus=ide.0,unit=1`,
    ['d0', 'd1'],
  ],
  [
    'master and slave by PIO, a CPU each',
    `${BACK} -device ide-hd,drive=d0,bus=ide.0 -device ide-hd,drive=d1,bus=ide.0 -append libata.dma=0 -smp 2`,
    ['d1', 'd0'],
  ],
  [
    'all four IDE drives',
    `${BACK} ${DRIVES.map((id, i) => `-device ide-hd,drive=${id},bus=ide.${i >> 1},unit=${i & 1}`).join(' ')}`,
    DRIVES,
  ],
  [
    'ports of AHCI',
    `-M q35 ${BACK} ${DRIVES.map((id, i) => `-device ide-hd,drive=${id},bus=ide.${i + 1}`).join(' ')}`,
    DRIVES,
  ],
  [
    'a PIIX4 in a slot of a q35, beside its AHCI and a device with a line',
    `-M q35 ${BACK} -device piix4-ide,id=p,addr=6 -device ide-hd,bus=p.1,drive=d0 -device ide-hd,bus=p.0,unit=1,drive=d1 -device ide-hd,bus=ide.2,drive=d2 -device virtio-blk-pci,vectors=0,drive=d3 -smp 2`,
    // The port of AHCI is the other CPU's, which does not take its interrupts.
    ['d0', 'd2', 'd3', 'd1'],
  ],
  [
    'virtio-blk side by side',
    `${BACK} ${DRIVES.map((id) => `-device virtio-blk-pci,drive=${id}`).join(' ')} -smp 4`,
    DRIVES,
  ],
  [
    'devices that share a line',
    `${BACK} ${DRIVES.map((id) => `-device virtio-blk-pci,vectors=0,drive=${id}`).join(' ')}`,
    DRIVES,
  ],
  [
    'virtio-mmio side by side',
    `${BACK} ${DRIVES.map((id) => `-device virtio-blk-device,drive=${id}`).join(' ')}`,
    DRIVES,
  ],
  [
    'a SCSI controller and disks of their own on virtio-mmio',
    `-M microvm ${BACK} -device virtio-scsi-device,id=m0 -device virtio-blk-device,drive=d0 ` +
      '-device scsi-hd,bus=m0.0,drive=d1 -device scsi-hd,bus=m0.0,drive=d2 -device virtio-blk-device,drive=d3 -smp 2',
    DRIVES,
  ],
  [
    'behind one bridge',
    `${BACK} -device pcie-root-port,id=p0 -device pci-bridge,id=b0,chassis_nr=1,bus=p0 -device virtio-blk-pci,drive=d0,bus=b0,addr=1 -device virtio-blk-pci,drive=d1,bus=b0,addr=2`,
    ['d0', 'd1'],
  ],
  [
    'kinds side by side',
    `-M q35 ${SCSI} -device virtio-blk-pci,drive=d0 -device scsi-hd,drive=d1 -device ide-hd,drive=d2,bus=ide.0 -device vhost-scsi-pci,wwpn=naa.1`,
    ['d0', 'd1', 'd2', 'd3'],
  ],
  [
    'IDE beside virtio-blk, whose ports do not overlap, on a pc',
    `${BACK} -device virtio-blk-pci,drive=d0 -device ide-hd,drive=d1 -device virtio-blk-pci,drive=d2 -smp 2`,
    ['d0', 'd1', 'd2'],
  ],
  [
    'each behind a root port of its own',
    `-M q35 ${BACK} ${DRIVES.slice(0, 3)
      .map(
        (id, i) =>
          `-device pcie-root-port,id=p${i},chassis=${i + 1} -device virtio-blk-pci,drive=${id},bus=p${i}`,
      )
      .join(' ')}`,
    ['d0', 'd1', 'd2'],
  ],
  [
    'different ways to the host',
    `-drive file=a,if=none,id=d0,aio=io_uring -drive file=b,if=none,id=d1,aio=threads -device virtio-blk-pci,drive=d0 -device virtio-blk-pci,drive=d1`,
    ['d0', 'd1'],
  ],
];

describe('several disks at once', () => {
  it.each(MIXES)('%s: each gets its own data, and nothing else', async (_, line, disks) => {
    const { lab, nodes } = await run(line, disks, { fsync: 16 });
    nodes.forEach(({ disk }, i) => {
      const expected = written(i);
      expect(Buffer.compare(disk.subarray(0, expected.length), expected), `disk ${i}`).toBe(0);
      expect(disk.subarray(expected.length).every((byte) => byte === 0)).toBe(true);
    });
    const frame = frameOf(lab);
    expect(frame.disks.map(({ drive }) => drive)).toEqual(disks);
    for (const { counters } of frame.disks)
      expect(counters).toMatchObject({ writes: 64, flushes: 4, errors: 0 });
    expect(frame.counters).toMatchObject({ requests: 68 * disks.length, bytes: 64 * 4096 * disks.length });
  });

  it.each(MIXES)('%s: a second run is the same to the last event', async (_, line, disks) => {
    const workload: Partial<Workload> = { rw: 'randrw', numjobs: 2, iodepthBatch: 3 };
    const rows = async (): Promise<string> => {
      const { lab } = await run(line, disks, workload);
      const all = lab.trace.copy(
        Array.from({ length: lab.trace.total - lab.trace.first }, (__, i) => lab.trace.first + i),
      );
      for (let i = 0; i < all.length; i += ROW_WORDS) all.fill(0, i + 2, i + 4);
      return Buffer.from(all.buffer).toString('base64');
    };
    expect((await rows()) === (await rows())).toBe(true);
  });

  it.each(MIXES)('%s: stands still between any two events', async (_, line, disks) => {
    const { lab } = await run(line, disks, { numberIos: 6 });
    const nodes = new Map(disks.map((id) => [id, arrayNode(MIB)]));
    const stepping = createLab({
      line: parseCommandLine(line),
      drives: (id) => nodes.get(id),
      workload: { ...WORKLOAD, numberIos: 6, disks },
    });
    while (stepping.state !== 'finished') {
      const before = stepping.trace.total;
      await stepping.step('event');
      expect(stepping.trace.total).toBeGreaterThan(before);
    }
    expect(stepping.trace.total).toBe(lab.trace.total);
  });

  it('goes through the page cache, each disk with pages of its own', async () => {
    const line = `${BACK} -device virtio-blk-pci,drive=d0 -device ide-hd,drive=d1 -smp 2`;
    const { nodes } = await run(line, ['d0', 'd1'], { direct: 0, fsync: 20 });
    nodes.forEach(({ disk }, i) => {
      const expected = written(i);
      expect(Buffer.compare(disk.subarray(0, expected.length), expected)).toBe(0);
    });
  });

  it('runs one disk when none are named, as ever', () => {
    const drives = new Map([['d0', arrayNode(MIB)]]);
    const line = parseCommandLine(
      `${BACK} -device virtio-blk-pci,drive=d0,id=a -device virtio-blk-pci,drive=d1`,
    );
    const lab = createLab({ line, drives: (id) => drives.get(id), workload: WORKLOAD });
    expect(lab.device).toBe('virtio-blk-pci a');
    expect(frameOf(lab).disks).toHaveLength(1);
  });
});

describe('disks of one controller', () => {
  it('share the request queues of virtio-scsi: one doorbell, one ring, the addresses in the headers', async () => {
    const disks = ['d0', 'd1'];
    const line = `${SCSI} -device scsi-hd,drive=d0,scsi-id=2,lun=0 -device scsi-hd,drive=d1,scsi-id=2,lun=5`;
    const { lab, boot } = await run(line, disks);
    const commands = events(lab, boot, E.virtscsi_queuecommand);
    // virtio 1.2, section 5.6.2: request queues begin at 2, and a driver may use them for all targets.
    expect(new Set(commands.map(({ args }) => args[0]))).toEqual(new Set([2]));
    const luns = commands.map(({ args }) => `${args[1]}:${args[2]}`);
    expect(luns.filter((lun) => lun === '2:0')).toHaveLength(64);
    expect(luns.filter((lun) => lun === '2:5')).toHaveLength(64);
    // They are under way at the same time: neither waits for the other's end.
    expect(luns.join(' ')).toMatch(/2:0 2:5 2:0 2:5/);
    for (const disk of [0, 1]) expect(frameOf(lab, disk, 0).queue?.index).toBe(2);
  });

  it('take turns on an IDE channel: no command is given while another has not ended (ATA-7, 5.2.9)', async () => {
    const line = `${BACK} -device ide-hd,drive=d0,bus=ide.0 -device ide-hd,drive=d1,bus=ide.0`;
    const { lab, boot } = await run(line, ['d0', 'd1'], { iodepth: 2, rw: 'randwrite' });
    const own = events(lab, boot, E.ata_qc_issue, E.ata_qc_complete_done).map(({ name }) => name);
    own.forEach((name, i) => expect(name).toBe(i % 2 === 0 ? 'ata_qc_issue' : 'ata_qc_complete_done'));
    // Nobody is left behind, though both always have something to ask.
    const [first, second] = frameOf(lab).disks;
    expect(Math.abs(first.lastNs - second.lastNs)).toBeLessThan(0.1 * first.lastNs);
    // The same on two channels: both are under way at once, and each is done sooner.
    const apart = await run(line.replace('drive=d1,bus=ide.0', 'drive=d1,bus=ide.1'), ['d0', 'd1'], {
      iodepth: 2,
      rw: 'randwrite',
    });
    const two = events(apart.lab, apart.boot, E.ata_qc_issue, E.ata_qc_complete_done).map(({ name }) => name);
    expect(two.join(' ')).toContain('ata_qc_issue ata_qc_issue');
    expect(frameOf(apart.lab).disks[0].waitedNs).toBeLessThan(0.8 * first.waitedNs);
  });

  it('take turns on an IDE channel also from different CPUs', async () => {
    const line = `${BACK} -device ide-hd,drive=d0,bus=ide.0 -device ide-hd,drive=d1,bus=ide.0 -smp 2`;
    const { lab } = await run(line, ['d0', 'd1'], { iodepth: 4, rw: 'randwrite' });
    const [first, second] = frameOf(lab).disks;
    expect(Math.abs(first.lastNs - second.lastNs)).toBeLessThan(0.1 * first.lastNs);
  });

  it('have a command list of their own on each AHCI port, and one interrupt for all', async () => {
    const line = `-M q35 ${BACK} -device ide-hd,drive=d0,bus=ide.0 -device ide-hd,drive=d1,bus=ide.3`;
    const { lab, boot } = await run(line, ['d0', 'd1'], { rw: 'randread', numberIos: 200, iodepth: 8 });
    const ports = events(lab, boot, E.ahci_port_intr).map(({ args }) => args[0]);
    expect(new Set(ports)).toEqual(new Set([0, 3]));
    const counts = frameOf(lab).counters;
    expect(counts.interrupts).toBeLessThanOrEqual(ports.length);
    expect(frameOf(lab).disks.map(({ counters }) => counters.reads)).toEqual([200, 200]);
  });
});

describe('a port of AHCI whose commands come from other CPUs than its interrupts', () => {
  // Linux holds the port's lock: a command that is still on its way must not be taken for one that has ended.
  it.each([
    ['another disk on the first CPU', '-smp 2', ['d1', 'd0'], { iodepth: 4 }],
    ['three programs on three CPUs', '-smp 3', ['d0'], { iodepth: 2, numjobs: 3, fsync: 3 }],
    ['three programs on four CPUs', '-smp 4', ['d0'], { iodepth: 4, numjobs: 3 }],
  ] as const)('%s: everything is written that was to be written', async (_, smp, disks, workload) => {
    const line = `-M q35 ${smp} ${BACK} -device ide-hd,drive=d0,bus=ide.2 -device virtio-blk-pci,vectors=0,drive=d1`;
    const { nodes } = await run(line, [...disks], workload);
    const at = disks.findIndex((id) => id === 'd0');
    const expected = written(at);
    expect(Buffer.compare(nodes[at].disk.subarray(0, expected.length), expected)).toBe(0);
  });
});

describe('devices side by side', () => {
  it('have queues, registers and vectors of their own', async () => {
    const line = `${BACK} -device virtio-blk-pci,drive=d0 -device virtio-blk-pci,drive=d1`;
    const { lab, boot } = await run(line, ['d0', 'd1'], { iodepth: 1 });
    const [a, b] = [frameOf(lab, 0, 0), frameOf(lab, 1, 0)];
    expect(a.queue?.descAddr).not.toBe(b.queue?.descAddr);
    const vector = ({ vectors }: LabFrame) => vectors.find(({ use }) => use === 'queue 0');
    expect(vector(a)?.data).not.toBe(vector(b)?.data);
    expect([vector(a)?.count, vector(b)?.count]).toEqual([64, 64]);
    const handled = events(lab, boot, E.irq_handler_entry).map(({ args }) => args[0]);
    expect(new Set(handled)).toEqual(new Set([vector(a)?.data, vector(b)?.data]));
  });

  it('are asked one after the other when they share a line (Linux: each handler of the line is entered)', async () => {
    const line = `${BACK} -device virtio-blk-pci,vectors=0,drive=d0,addr=5 -device virtio-blk-pci,vectors=0,drive=d1,addr=9`;
    const { lab, boot } = await run(line, ['d0', 'd1'], { iodepth: 1 });
    const taken = events(lab, boot, E.kvm_inj_virq).length;
    const entered = events(lab, boot, E.irq_handler_entry);
    expect(entered).toHaveLength(2 * taken);
    expect(new Set(entered.map(({ args }) => args[0])).size).toBe(1);
    const apart = await run(line.replace('addr=9', 'addr=7'), ['d0', 'd1'], { iodepth: 1 });
    const each = events(apart.lab, apart.boot, E.irq_handler_entry).length;
    expect(each).toBe(events(apart.lab, apart.boot, E.kvm_inj_virq).length);
  });

  it('every request goes through the stations of its own device, with an id of its own', async () => {
    const line = `${SCSI} -device scsi-hd,drive=d0 -device virtio-blk-pci,drive=d1`;
    const { lab, boot } = await run(line, ['d0', 'd1'], { rw: 'randread', numberIos: 10, iodepth: 2 });
    const ids = events(lab, boot, E.io_submit).map(({ requestId }) => requestId);
    expect(new Set(ids).size).toBe(20);
    for (const id of ids) {
      const names = new Set(requestHistory(lab.trace, id).map((n) => lab.trace.eventAt(n)));
      expect(names.has(E.virtio_scsi_cmd_req)).toBe(!names.has(E.virtio_blk_handle_read));
    }
  });

  it('have their turns on QEMU’s thread: one that always has something to do does not starve the other', async () => {
    const line = `${SCSI} -device scsi-hd,drive=d0 -device virtio-blk-pci,drive=d1`;
    const { lab } = await run(line, ['d0', 'd1'], { rw: 'randwrite', numberIos: 400, iodepth: 8 });
    const [first, second] = frameOf(lab).disks;
    expect(Math.min(first.lastNs, second.lastNs)).toBeGreaterThan(
      0.7 * Math.max(first.lastNs, second.lastNs),
    );
  });

  it('one that breaks does not stop the others, and an attack is made on the one that is looked at', async () => {
    const line = `${BACK} -device virtio-blk-pci,drive=d0 -device virtio-blk-pci,drive=d1`;
    const nodes = new Map(['d0', 'd1'].map((id) => [id, arrayNode(MIB)]));
    const lab = createLab({
      line: parseCommandLine(line),
      drives: (id) => nodes.get(id),
      workload: { ...WORKLOAD, disks: ['d0', 'd1'] },
    });
    await lab.step('request');
    const [chosen] = lab.attacks(1);
    const result = await lab.attack(chosen.id, 1);
    expect(result).toMatchObject({ expected: true, recovered: true });
    lab.run();
    await lab.done();
    expect(lab.error).toBeUndefined();
    [...nodes.values()].forEach(({ disk }, i) => {
      const expected = written(i);
      expect(Buffer.compare(disk.subarray(0, expected.length), expected)).toBe(0);
    });
  });
});

/** A SCSI disk behind virtio-scsi in the laboratory: the longer way through the same fourteen stations. */
import { describe, expect, it } from 'vitest';
import type { LabFrame } from '#contract/lab.ts';
import type { Workload } from '#contract/settings.ts';
import { PlatterError } from '../errors.ts';
import { parseCommandLine } from '../qemu/parse.ts';
import { E, EVENTS } from '../trace/registry.ts';
import { findEvents } from '../trace/query.ts';
import { decodeRow, ROW_WORDS, type TraceRow } from '../trace/row.ts';
import { fillPattern } from '../guest/workload.ts';
import { arrayNode } from '../virtio/testing/rig.ts';
import { createLab } from './lab.ts';

const MIB = 1024 * 1024;
const LINE = '-drive file=a.img,if=none,id=d0,format=raw -device virtio-scsi-pci,id=s0';
const WORKLOAD: Workload = {
  rw: 'randwrite',
  bs: 4096,
  iodepth: 4,
  numberIos: 200,
  offset: 0,
  size: 0,
  rwmixread: 50,
  seed: 3,
  fsync: 0,
};

type Lab = ReturnType<typeof createLab>;
type Node = ReturnType<typeof arrayNode>;

function open(node: Node, disk: string, workload: Partial<Workload> = {}, line = LINE): Lab {
  return createLab({
    line: parseCommandLine(`${line} -device ${disk}`),
    drives: (id) => (id === 'd0' ? node : undefined),
    workload: { ...WORKLOAD, ...workload },
  });
}
const frameOf = (lab: Lab): LabFrame =>
  lab.frame({ seq: 1, from: -1, count: 100, requestId: null, queue: 2 });
async function done(lab: Lab): Promise<LabFrame> {
  lab.run();
  await lab.done();
  return frameOf(lab);
}
/** The events of one request, in order. */
function story(lab: Lab, requestId: number): TraceRow[] {
  const rows = lab.trace.copy(findEvents(lab.trace, 0, lab.trace.capacity, { requestId }));
  return Array.from({ length: rows.length / ROW_WORDS }, (_, i) => decodeRow(rows, i));
}

describe('a SCSI disk behind virtio-scsi', () => {
  it('writes what the program wrote, and flushes when it asks', async () => {
    const node = arrayNode(16 * MIB);
    const lab = open(node, 'scsi-hd,bus=s0.0,drive=d0,id=disk1', { rw: 'write', fsync: 50 });
    expect(lab.device).toBe('scsi-hd disk1');
    const frame = await done(lab);
    expect(lab.error).toBeUndefined();
    expect(frame.counters).toMatchObject({ requests: 204, writes: 200, errors: 0, flushes: 4 });
    expect(node.flushes).toBeGreaterThanOrEqual(4);
    const expected = new Uint8Array(200 * 4096);
    for (let i = 0; i < 200; i++)
      fillPattern(new DataView(expected.buffer, i * 4096, 4096), i * 4096, WORKLOAD.seed);
    expect(Buffer.compare(node.disk.subarray(0, expected.length), expected)).toBe(0);
  });

  it('passes all fourteen stations in order, a command on each side of the ring', async () => {
    const lab = open(arrayNode(16 * MIB), 'scsi-hd,bus=s0.0,drive=d0', { numberIos: 1, iodepth: 1 });
    await done(lab);
    const last = lab.trace.requestAt(lab.trace.total - 1);
    const events = story(lab, last);
    expect([...new Set(events.map(({ station }) => station))]).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    ]);
    const names = events.map(({ name }) => name);
    const order = [
      'scsi_dispatch_cmd_start',
      'virtscsi_queuecommand',
      'virtqueue_add',
      'virtqueue_pop',
      'virtio_scsi_cmd_req',
      'scsi_req_parsed',
      'scsi_req_parsed_lba',
      'blk_co_pwritev',
      'host_rq_issue',
      'scsi_req_dequeue',
      'virtio_scsi_cmd_resp',
      'virtqueue_fill',
      'virtio_notify_irqfd',
      'virtqueue_get_buf',
      'scsi_dispatch_cmd_done',
      'block_rq_complete',
      'io_getevents',
    ];
    expect(names.filter((name) => order.includes(name))).toEqual(order);
  });

  it('takes more events for a request than virtio-blk does', async () => {
    const count = async (line: string): Promise<number> => {
      const lab = createLab({
        line: parseCommandLine(line),
        drives: () => arrayNode(16 * MIB),
        workload: WORKLOAD,
      });
      await done(lab);
      return frameOf(lab).stationEvents.reduce((sum, events) => sum + events, 0);
    };
    const drive = '-drive file=a.img,if=none,id=d0,format=raw';
    const blk = await count(`${drive} -device virtio-blk-pci,drive=d0`);
    const scsi = await count(`${LINE} -device scsi-hd,bus=s0.0,drive=d0`);
    expect(scsi).toBeGreaterThan(blk);
  });

  it.each([
    ['scsi-hd,bus=s0.0,drive=d0,scsi-id=7,lun=300', LINE],
    ['scsi-hd,drive=d0,logical_block_size=4096,physical_block_size=4096', LINE],
    ['scsi-hd,drive=d0', `${LINE},num_queues=4,disable-legacy=on -smp 4`],
    ['scsi-hd,drive=d0', `${LINE},vectors=0`],
    ['scsi-hd,drive=d0', `${LINE},packed=on,disable-legacy=on`],
    ['scsi-hd,drive=d0', `${LINE},indirect_desc=off,event_idx=off,virtqueue_size=8`],
    ['scsi-hd,drive=d0', LINE.replace('virtio-scsi-pci', 'virtio-scsi-pci,disable-modern=on')],
    ['scsi-hd,drive=d0', LINE.replace('virtio-scsi-pci', 'virtio-scsi-pci,ioeventfd=off')],
  ])('runs %s behind %s', async (disk, line) => {
    const node = arrayNode(16 * MIB);
    const frame = await done(open(node, disk, { rw: 'randrw' }, line));
    expect(frame.error).toBeUndefined();
    expect(frame.counters).toMatchObject({ requests: 200, errors: 0 });
  });

  it('counts interrupts of the workload only: those of the scan were the driver’s own', async () => {
    const lab = open(arrayNode(16 * MIB), 'scsi-hd,drive=d0', { iodepth: 1, numberIos: 50 });
    const frame = await done(lab);
    expect(frame.counters.interrupts).toBe(50);
    expect(frame.vectors.reduce((sum, { count }) => sum + count, 0)).toBe(50);
  });

  it('reads a CD-ROM, and a write to it fails with the error that Linux gives', async () => {
    const node = arrayNode(16 * MIB);
    const read = await done(open(node, 'scsi-cd,drive=d0', { rw: 'randread' }));
    expect(read.counters).toMatchObject({ requests: 200, errors: 0 });
    const lab = open(node, 'scsi-cd,drive=d0', { rw: 'write', numberIos: 3 });
    expect((await done(lab)).counters).toMatchObject({ requests: 3, errors: 3 });
    expect(lab.trace.counts[E.scsi_req_build_sense]).toBeGreaterThanOrEqual(3);
  });

  it('names an unknown place, a controller that is not there, and a disk without a drive', () => {
    const node = arrayNode(MIB);
    expect(() => open(node, 'scsi-hd,drive=d0,scsi-id=256')).toThrow(/scsi-id=256/);
    expect(() => open(node, 'scsi-hd,drive=d0,bus=s1.0')).toThrow(
      expect.objectContaining({ code: 'lab.no-controller' }),
    );
    expect(() => open(node, 'scsi-hd,bus=s0.0')).toThrow(expect.objectContaining({ code: 'lab.no-drive' }));
  });

  it('every event of the boot and the run is one that the registry knows', async () => {
    const lab = open(arrayNode(MIB), 'scsi-hd,drive=d0', { numberIos: 5 });
    await done(lab);
    lab.trace.counts.forEach((count, id) => {
      if (count > 0) expect(EVENTS[id]?.name).toBeDefined();
    });
  });
});

describe('commands that are sent again, as sd does', () => {
  const events = (lab: Lab, event: number): number =>
    findEvents(lab.trace, 0, lab.trace.capacity).filter((n) => lab.trace.eventAt(n) === event).length;
  /** Fails the first `failures` writes. */
  const flaky = (failures: number): Node => {
    const good = arrayNode(16 * MIB);
    let left = failures;
    return {
      ...good,
      write: (offset, source) => {
        if (left-- > 0) throw new PlatterError('storage.io', 'broken');
        return good.write(offset, source);
      },
    };
  };

  it('a command that failed once succeeds the second time, and the program never hears of it', async () => {
    const lab = open(flaky(1), 'scsi-hd,bus=s0.0,drive=d0,werror=report', { numberIos: 3, iodepth: 1 });
    const before = lab.trace.counts[E.block_rq_requeue];
    const frame = await done(lab);
    expect(lab.error).toBeUndefined();
    expect(frame.counters).toMatchObject({ requests: 3, writes: 3, errors: 0 });
    expect(lab.trace.counts[E.block_rq_requeue] - before).toBe(1);
    expect(events(lab, E.scsi_dispatch_cmd_start)).toBe(4);
  });

  it('is tried five times more, then the program has its error', async () => {
    const lab = open(flaky(100), 'scsi-hd,bus=s0.0,drive=d0,werror=report', { numberIos: 1, iodepth: 1 });
    const frame = await done(lab);
    expect(frame.counters).toMatchObject({ requests: 1, errors: 1 });
    expect(events(lab, E.scsi_dispatch_cmd_start)).toBe(6);
  });
});

/** `cmd_per_lun=`: QEMU only tells the driver (hw/scsi/virtio-scsi.c), and Linux’ driver gives no disk more commands at once. */
import { describe, expect, it } from 'vitest';
import type { Workload } from '#contract/settings.ts';
import { parseCommandLine } from '../qemu/parse.ts';
import { E } from '../trace/registry.ts';
import { decodeRow } from '../trace/row.ts';
import type { TraceRing } from '../trace/ring.ts';
import { arrayNode } from '../virtio/testing/rig.ts';
import { createLab } from './lab.ts';

const DISKS = ['d0', 'd1'];
const WORKLOAD: Workload = {
  rw: 'randwrite',
  bs: 4096,
  iodepth: 16,
  numberIos: 150,
  offset: 0,
  size: 0,
  rwmixread: 50,
  seed: 5,
  fsync: 20,
  numjobs: 2,
  disks: DISKS,
};

/** The most commands that each target had at once, from the driver's call of the device until the SCSI layer has the answer. */
function most(trace: TraceRing): Map<number, number> {
  const now = new Map<number, number>();
  const peak = new Map<number, number>();
  for (let i = trace.first; i < trace.total; i++) {
    const { event, args } = decodeRow(trace.copy([i]), 0);
    const issued = event === E.virtscsi_queuecommand;
    if (!issued && event !== E.scsi_dispatch_cmd_done) continue;
    const target = issued ? args[1] : args[0];
    const count = (now.get(target) ?? 0) + (issued ? 1 : -1);
    now.set(target, count);
    peak.set(target, Math.max(peak.get(target) ?? 0, count));
  }
  return peak;
}

async function run(controller: string, cpus: number) {
  const drives = DISKS.map((id) => `-drive file=${id},if=none,id=${id},format=raw`).join(' ');
  const disks = DISKS.map((id) => `-device scsi-hd,drive=${id}`).join(' ');
  const nodes = new Map(DISKS.map((id) => [id, arrayNode(4 << 20)]));
  const lab = createLab({
    line: parseCommandLine(`-smp ${cpus} ${drives} -device virtio-scsi-pci${controller} ${disks}`),
    drives: (id) => nodes.get(id),
    workload: WORKLOAD,
  });
  lab.run();
  await lab.done();
  expect(lab.error).toBeUndefined();
  const frame = lab.frame({ seq: 1, from: 0, count: 0, requestId: null, queue: null });
  expect(frame.counters).toMatchObject({ writes: 150 * 4, errors: 0 });
  return most(lab.trace);
}

describe.each([
  ['one CPU', 1, ''],
  ['four CPUs, a queue each', 4, ''],
  ['four CPUs that share a queue', 4, ',num_queues=1'],
])('cmd_per_lun, %s', (_, cpus, queues) => {
  it.each([1, 2, 7])('%i: no disk has more commands at once, whatever the other has', async (perLun) => {
    const peak = await run(`,cmd_per_lun=${perLun}${queues}`, cpus);
    expect([...peak.values()]).toEqual([perLun, perLun]);
  });

  it('more than the programs ask for, or than the queue has room for, changes nothing', async () => {
    const [first] = (await run(queues, cpus)).values();
    expect(first).toBeGreaterThan(7);
    const [least] = (
      await run(`,cmd_per_lun=128,virtqueue_size=16,indirect_desc=on${queues}`, cpus)
    ).values();
    expect(least).toBeLessThanOrEqual(16);
  });
});

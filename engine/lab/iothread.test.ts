/** An IOThread is a place of its own on the model clock: what it serves waits neither for the main loop nor for the lock that this takes. */
import { describe, expect, it } from 'vitest';
import type { DiskView } from '#contract/lab.ts';
import type { Workload } from '#contract/settings.ts';
import { fillPattern } from '../guest/workload.ts';
import { parseCommandLine } from '../qemu/parse.ts';
import { decodeRow } from '../trace/row.ts';
import { arrayNode } from '../virtio/testing/rig.ts';
import { createLab } from './lab.ts';

const BYTES = 2 * 1024 * 1024;
const WORKLOAD: Workload = {
  rw: 'write',
  bs: 4096,
  iodepth: 8,
  numberIos: 200,
  offset: 0,
  size: 0,
  rwmixread: 50,
  seed: 3,
  fsync: 0,
};
const OBJECTS = '-object iothread,id=io1 -object iothread,id=io2';

async function run(devices: string, disks: readonly string[], cpus = disks.length) {
  const nodes = new Map(disks.map((id) => [id, arrayNode(BYTES)]));
  const drives = disks.map((id) => `-drive file=${id}.img,if=none,id=${id},format=raw`).join(' ');
  const lab = createLab({
    line: parseCommandLine(`-smp ${cpus} ${OBJECTS} ${drives} ${devices}`),
    drives: (id) => nodes.get(id),
    workload: { ...WORKLOAD, disks: [...disks] },
  });
  lab.run();
  await lab.done();
  expect(lab.error).toBeUndefined();
  disks.forEach((id, index) => {
    const expected = new Uint8Array(WORKLOAD.numberIos * WORKLOAD.bs);
    fillPattern(new DataView(expected.buffer), 0, WORKLOAD.seed + index);
    expect(Buffer.compare(nodes.get(id)?.disk.subarray(0, expected.length) ?? expected, expected)).toBe(0);
  });
  const frame = lab.frame({ seq: 1, from: 0, count: 0, requestId: null, queue: null });
  const { trace } = lab;
  const status = lab.frame({ seq: 2, from: 0, count: 0, requestId: null, queue: null, details: 'status' });
  const thread = status.details?.fields.find(({ name }) => name === 'thread')?.text;
  const rows = trace.copy(Array.from({ length: trace.total - trace.first }, (_, i) => trace.first + i));
  return { disks: frame.disks as readonly DiskView[], rows, trace, thread };
}

const PIO = '-append libata.dma=0 -device ide-hd,drive=d1';
const BLK = '-device virtio-blk-pci,drive=d0';

describe('an IOThread', () => {
  it('is not held up by a virtual CPU that does QEMU’s work for another disk under the lock', async () => {
    const shared = await run(`${BLK} ${PIO}`, ['d0', 'd1']);
    const apart = await run(`${BLK},iothread=io1 ${PIO}`, ['d0', 'd1']);
    expect([shared.thread, apart.thread]).toEqual(['main loop', 'IOThread io1']);
    expect(apart.disks[0].lastNs).toBeLessThan(shared.disks[0].lastNs);
    // Nor does the other disk fare worse.
    expect(apart.disks[1].lastNs).toBeLessThanOrEqual(shared.disks[1].lastNs);
  });

  it.each([
    ['virtio-blk', (n: number) => `-device virtio-blk-pci,drive=d${n}`],
    ['virtio-scsi', (n: number) => `-device virtio-scsi-pci,id=s${n}`],
  ])('serves beside the main loop: %s', async (kind, device) => {
    const disks =
      kind === 'virtio-scsi' ? ' -device scsi-hd,bus=s0.0,drive=d0 -device scsi-hd,bus=s1.0,drive=d1' : '';
    const line = (first: string, second: string): string =>
      `${device(0)}${first} ${device(1)}${second}${disks}`;
    const last = async (devices: string): Promise<number> =>
      Math.max(...(await run(devices, ['d0', 'd1'])).disks.map(({ lastNs }) => lastNs));
    const together = await last(line('', ''));
    const apart = await last(line(',iothread=io1', ',iothread=io2'));
    expect(apart).toBeLessThan(together);
    // One name is one thread.
    expect(await last(line(',iothread=io1', ',iothread=io1'))).toBeGreaterThan(apart);
    expect(await last(line('', ',iothread=io1'))).toBeLessThan(together);
  });

  it('serves nothing without ioeventfd, which would have to wake it', async () => {
    const without = await run(`${BLK},ioeventfd=off ${PIO}`, ['d0', 'd1']);
    const named = await run(`${BLK},ioeventfd=off,iothread=io1 ${PIO}`, ['d0', 'd1']);
    expect(named.disks.map(({ lastNs }) => lastNs)).toEqual(without.disks.map(({ lastNs }) => lastNs));
  });

  it.each([
    ['vhost-scsi', 'vhost-scsi-pci,wwpn=naa.1'],
    ['vhost-user-blk', 'vhost-user-blk-pci,chardev=c0'],
  ])('nor is %s, which QEMU does not serve', async (_, device) => {
    const socket = '-chardev socket,id=c0,path=/run/v.sock';
    const own = await run(`${BLK} ${PIO}`, ['d0', 'd1']);
    const vhost = await run(`${socket} -device ${device} ${PIO}`, ['d0', 'd1']);
    expect(vhost.thread).toMatch(/^(vhost worker|back end) of /);
    expect(vhost.disks[0].lastNs).toBeLessThan(own.disks[0].lastNs);
  });

  it('a second run is the same to the last event', async () => {
    const line = `${BLK},iothread=io1 -device virtio-blk-pci,drive=d1,iothread=io2 -device virtio-blk-pci,drive=d2`;
    const [first, second] = [await run(line, ['d0', 'd1', 'd2'], 2), await run(line, ['d0', 'd1', 'd2'], 2)];
    expect(second.trace.total).toBe(first.trace.total);
    expect(second.disks).toEqual(first.disks);
  });

  it('no interrupt is routed before it was raised: the events of a request never go back in time', async () => {
    const line = `${BLK},iothread=io1 -device virtio-blk-pci,drive=d1,iothread=io2 -device virtio-blk-pci,drive=d2`;
    const { trace } = await run(line, ['d0', 'd1', 'd2']);
    const last = new Map<number, number>();
    const back: number[] = [];
    for (let i = trace.first; i < trace.total; i++) {
      const { requestId, modelNs } = decodeRow(trace.copy([i]), 0);
      if (requestId === 0) continue;
      if (modelNs < (last.get(requestId) ?? 0)) back.push(i);
      last.set(requestId, modelNs);
    }
    expect(back).toEqual([]);
  });
});

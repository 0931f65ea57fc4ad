/** vhost-scsi and vhost-user-blk as models: the data is the same, and the trace shows which steps are not QEMU's any more. */
import { describe, expect, it } from 'vitest';
import type { Workload } from '#contract/settings.ts';
import { fillPattern } from '../guest/workload.ts';
import { parseCommandLine } from '../qemu/parse.ts';
import { E, EVENTS } from '../trace/registry.ts';
import { arrayNode } from '../virtio/testing/rig.ts';
import { createLab } from './lab.ts';

const MIB = 1024 * 1024;
const DRIVE = '-drive file=a.img,if=none,id=d0,format=raw';
const CHARDEV = '-chardev socket,id=c0,path=/tmp/vhost.sock';
const SCSI = `-device vhost-scsi-pci,id=v0,wwpn=naa.5001405324af0985 ${DRIVE}`;
const USER = `${CHARDEV} -device vhost-user-blk-pci,id=v1,chardev=c0 ${DRIVE}`;
const WORKLOAD: Workload = {
  rw: 'write',
  bs: 4096,
  iodepth: 4,
  numberIos: 64,
  offset: 0,
  size: 0,
  rwmixread: 50,
  seed: 5,
  fsync: 16,
};

async function run(line: string, drives?: (id: string) => ReturnType<typeof arrayNode> | undefined) {
  const node = arrayNode(16 * MIB);
  const lab = createLab({
    line: parseCommandLine(line),
    drives: drives ?? ((id) => (id === 'd0' ? node : undefined)),
    workload: WORKLOAD,
  });
  const boot = lab.trace.counts.slice();
  lab.run();
  await lab.done();
  expect(lab.error).toBeUndefined();
  return { lab, node, since: (event: number) => lab.trace.counts[event] - boot[event], boot };
}

/** Events of QEMU's own on the way of a request: what a vhost device must not show. */
const QEMUS = [
  E.virtio_queue_notify,
  E.virtqueue_pop,
  E.virtio_scsi_cmd_req,
  E.scsi_req_parsed,
  E.virtio_scsi_cmd_resp,
  E.virtio_blk_handle_write,
  E.virtio_blk_req_complete,
  E.virtqueue_fill,
  E.virtio_notify,
  E.virtio_notify_irqfd,
  E.msix_notify,
];

describe('vhost devices as models', () => {
  it.each([
    ['vhost-scsi', SCSI, [E.vhost_scsi_handle_kick, E.vhost_scsi_get_desc, E.fd_execute_rw, E.vhost_signal]],
    ['vhost-user-blk', USER, [E.vu_kick_cb, E.vu_queue_pop, E.vu_blk_virtio_process_req, E.vu_queue_notify]],
  ])('%s: the data arrives, and QEMU sees none of it', async (_, line, theirs) => {
    const { node, since, boot, lab } = await run(line);
    const expected = new Uint8Array(64 * 4096);
    for (let i = 0; i < 64; i++) fillPattern(new DataView(expected.buffer, i * 4096, 4096), i * 4096, 5);
    expect(Buffer.compare(node.disk.subarray(0, expected.length), expected)).toBe(0);
    expect(node.flushes).toBeGreaterThanOrEqual(4);
    for (const event of QEMUS) expect(since(event), EVENTS[event]?.name).toBe(0);
    for (const event of theirs) expect(since(event), EVENTS[event]?.name).toBeGreaterThan(0);
    // Doorbells are ioeventfds and interrupts irqfds: nothing is handed on to QEMU.
    expect(since(E.ioeventfd_signal)).toBeGreaterThan(0);
    expect(since(E.kvm_userspace_exit)).toBe(0);
    expect(since(E.kvm_msi_set_irq)).toBeGreaterThan(0);
    expect(
      lab.frame({ seq: 1, from: -1, count: 1, requestId: null, queue: 0 }).counters.notifications,
    ).toBeGreaterThan(0);
    // QEMU does set the device up, and the trace says what this is.
    expect(boot[E.virtio_set_status]).toBeGreaterThan(0);
    expect(boot[E.vhost_model]).toBe(1);
    expect(lab.device).toMatch(/\(model\)$/);
  });

  it('vhost-scsi goes without QEMU’s block layer, vhost-user-blk through that of the other process', async () => {
    const scsi = await run(SCSI);
    const user = await run(USER);
    expect(scsi.since(E.blk_co_pwritev)).toBe(0);
    expect(scsi.since(E.file_paio_submit)).toBe(0);
    expect(scsi.since(E.target_complete_cmd)).toBeGreaterThan(0);
    expect(user.since(E.blk_co_pwritev)).toBeGreaterThan(0);
  });

  it('takes fewer of QEMU’s thread’s steps than virtio-scsi', async () => {
    const own = await run(`-device virtio-scsi-pci -device scsi-hd,drive=d0 ${DRIVE}`);
    const vhost = await run(SCSI);
    const steps = ({ since }: typeof own): number =>
      EVENTS.reduce((sum, event) => sum + (event ? since(event.id) : 0), 0);
    expect(steps(vhost)).toBeLessThan(steps(own));
  });

  it('binds to a drive that nothing else uses, and otherwise to the back end’s own name', async () => {
    const used = '-drive file=b.img,if=none,id=d1 -device virtio-blk-pci,drive=d1';
    const asked: string[] = [];
    const drives = (id: string): ReturnType<typeof arrayNode> => {
      asked.push(id);
      return arrayNode(MIB);
    };
    await run(`${USER.replace(DRIVE, '')} `, drives);
    await run(SCSI.replace(DRIVE, ''), drives);
    await run(`${USER} ${used.replace('-device virtio-blk-pci,drive=d1', '')}`, drives);
    expect(asked).toEqual(['c0', 'naa.5001405324af0985', 'd0']);
  });

  it('refuses one that names no back end, as QEMU does', () => {
    const code = (line: string): unknown => {
      try {
        createLab({ line: parseCommandLine(line), drives: () => arrayNode(MIB), workload: WORKLOAD });
        return undefined;
      } catch (error) {
        return error instanceof Error && 'code' in error ? error.code : error;
      }
    };
    expect(code('-device vhost-scsi-pci')).toBe('lab.no-back-end');
    expect(code('-device vhost-user-blk-pci')).toBe('lab.no-back-end');
  });
});

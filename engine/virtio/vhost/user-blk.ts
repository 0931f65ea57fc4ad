/**
 * vhost-user-blk as a model: the rings of a virtio-blk device served by another process (QEMU's storage daemon, SPDK) that shares the
 * guest's memory. QEMU sets the device up and never sees a request: ioeventfd and irqfd were handed to that process. Its part is
 * played here; its steps carry the names of QEMU's libvhost-user and block/export/vhost-user-blk-server.c.
 */
import { E } from '../../trace/registry.ts';
import type { TraceRing } from '../../trace/ring.ts';
import { VirtioBlk, type VirtioBlkOptions } from '../blk/device.ts';
import { BLK_T } from '../blk/protocol.ts';
import { RenamingTrace, type Renamed } from './trace.ts';

/** `vu_blk_virtio_process_req` for a request of a type that QEMU's own event does not carry. */
const handled = (type: number): Renamed => ({
  event: E.vu_blk_virtio_process_req,
  args: (low, high) => [type, low, high],
});
const processOf: Renamed = { event: E.vu_blk_virtio_process_req, args: (type) => [type] };
const notify: Renamed = { event: E.vu_queue_notify, args: (queue) => [queue] };

const NAMES: ReadonlyMap<number, Renamed> = new Map<number, Renamed>([
  [E.virtio_queue_notify, { event: E.vu_kick_cb, args: (queue) => [queue] }],
  [E.virtqueue_pop, { event: E.vu_queue_pop, args: (queue, head, into, out) => [queue, head, into, out] }],
  [E.virtio_blk_handle_read, handled(BLK_T.in)],
  [E.virtio_blk_handle_write, handled(BLK_T.out)],
  [E.virtio_blk_handle_flush, handled(BLK_T.flush)],
  [E.virtio_blk_handle_get_id, { event: E.vu_blk_virtio_process_req, args: () => [BLK_T.getId] }],
  [E.virtio_blk_handle_discard_write_zeroes, processOf],
  [E.virtio_blk_unsupported, processOf],
  [E.virtio_blk_rw_complete, null],
  [E.virtio_blk_req_complete, { event: E.vu_blk_req_complete, args: (status) => [status] }],
  [E.virtqueue_fill, { event: E.vu_queue_push, args: (queue, head, length) => [queue, head, length] }],
  [E.virtqueue_flush, null],
  [E.virtio_should_notify, null],
  [E.virtio_notify_irqfd, notify],
  [E.virtio_notify, notify],
]);

export class VhostUserBlk extends VirtioBlk {
  override readonly trace: TraceRing;

  constructor(options: Omit<VirtioBlkOptions, 'irqfd'>) {
    super({ ...options, trace: new RenamingTrace(options.trace, NAMES), irqfd: true });
    this.trace = options.trace;
  }

  protected override onDriverOk(started: boolean): void {
    super.onDriverOk(started);
    if (started) this.trace.emit(E.vhost_model, 0, this.queues.length, 0, 0, 0);
  }
}

/**
 * vhost-scsi as a model: the rings of a virtio-scsi controller served by the host's kernel (Linux's drivers/vhost/scsi.c over the LIO
 * target, drivers/target). QEMU sets the device up and never sees a request: a doorbell goes through its ioeventfd to a kernel
 * thread, and an irqfd takes the interrupt back. The kernel's part is played here; its steps carry the names of Linux's functions
 * and tracepoints.
 */
import { E } from '../../trace/registry.ts';
import type { TraceRing } from '../../trace/ring.ts';
import { VirtioScsi, type VirtioScsiOptions } from '../scsi/device.ts';
import { RenamingTrace, type Renamed } from './trace.ts';

const NAMES: ReadonlyMap<number, Renamed> = new Map<number, Renamed>([
  [E.virtio_queue_notify, { event: E.vhost_scsi_handle_kick, args: (queue) => [queue] }],
  [
    E.virtqueue_pop,
    { event: E.vhost_scsi_get_desc, args: (queue, head, into, out) => [queue, head, into, out] },
  ],
  [
    E.scsi_req_parsed,
    { event: E.target_sequencer_start, args: (_, lun, command, length) => [lun, command, length] },
  ],
  [
    E.virtio_scsi_cmd_resp,
    { event: E.target_cmd_complete, args: (lun, tag, _, status) => [lun, tag, status] },
  ],
  [E.virtqueue_fill, { event: E.vhost_add_used, args: (queue, head, length) => [queue, head, length] }],
  [E.virtio_notify_irqfd, { event: E.vhost_signal, args: (queue) => [queue] }],
  // QEMU's own steps, which are not done.
  ...[
    E.virtio_scsi_cmd_req,
    E.virtio_scsi_tmf_req,
    E.virtio_scsi_tmf_resp,
    E.virtio_scsi_an_req,
    E.virtio_scsi_an_resp,
    E.virtio_scsi_event,
    E.scsi_req_parsed_lba,
    E.scsi_req_parse_bad,
    E.scsi_req_build_sense,
    E.scsi_req_dequeue,
    E.scsi_req_cancel,
    E.scsi_device_set_ua,
    E.virtqueue_flush,
    E.virtio_should_notify,
  ].map((event): [number, Renamed] => [event, null]),
]);

export class VhostScsi extends VirtioScsi {
  override readonly trace: TraceRing;

  /** `options.host` should take the host's own way: `aio: 'vhost'`. */
  constructor(options: Omit<VirtioScsiOptions, 'irqfd'>) {
    super({ ...options, trace: new RenamingTrace(options.trace, NAMES), irqfd: true });
    this.trace = options.trace;
  }

  protected override onDriverOk(started: boolean): void {
    super.onDriverOk(started);
    if (started) this.trace.emit(E.vhost_model, 0, this.queues.length, 0, 0, 0);
  }
}

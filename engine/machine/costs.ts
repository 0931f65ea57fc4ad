/**
 * The table behind the model clock: what each thing costs on a server of the last years, in nanoseconds. Every figure can be
 * edited. None is copied from a measurement that could be checked here, so every one is marked as an estimate, with what it was
 * estimated after. Absolute times are therefore an illustration; what the model is good for is comparing ways that differ in how
 * often they pay which cost.
 */
import { E, EVENT_LIMIT } from '../trace/registry.ts';

export interface Cost {
  /** Nanoseconds. */
  ns: number;
  /** Where the figure is from, or that it is an estimate. */
  source: string;
  /** The events that cost it each time they happen; none for costs that are charged otherwise. */
  events: readonly number[];
}

const ESTIMATE = 'estimate';
const VMEXIT = `${ESTIMATE} of what kvm-unit-tests' x86/vmexit measures, at 3 GHz`;
const NVME = `${ESTIMATE} for an NVMe drive of a data centre`;

/** Keys are stable; their names on screen are `cost.<key>` of trace.json. */
export const COSTS = {
  'program.syscall': { ns: 400, source: ESTIMATE, events: [E.io_submit, E.io_getevents] },
  'guest.block': {
    ns: 300,
    source: ESTIMATE,
    events: [
      E.block_bio_queue,
      E.block_rq_issue,
      E.block_rq_complete,
      E.scsi_dispatch_cmd_start,
      E.scsi_dispatch_cmd_done,
    ],
  },
  'guest.driver': {
    ns: 120,
    source: ESTIMATE,
    events: [
      E.virtio_queue_rq,
      E.virtscsi_queuecommand,
      E.virtqueue_add,
      E.virtqueue_get_buf,
      E.ata_qc_issue,
      E.ata_qc_complete_done,
      E.ahci_fill_cmd_slot,
    ],
  },
  'kvm.exit': {
    ns: 500,
    source: `${VMEXIT}: vmcall, about 1,500 cycles there and back`,
    events: [E.kvm_exit],
  },
  'kvm.decode': {
    ns: 700,
    source: `${ESTIMATE}: instruction fetch and decode for MMIO`,
    events: [E.kvm_mmio],
  },
  'kvm.ioeventfd': { ns: 300, source: ESTIMATE, events: [E.ioeventfd_signal] },
  'kvm.userspace': {
    ns: 2000,
    source: `${VMEXIT}: inl_from_qemu, about 6,000 cycles more than an exit`,
    events: [E.kvm_userspace_exit],
  },
  'kvm.inject': {
    ns: 900,
    source: `${ESTIMATE}: without posted interrupts, one more exit`,
    events: [E.kvm_inj_virq],
  },
  'kvm.route': { ns: 200, source: ESTIMATE, events: [E.kvm_msi_set_irq, E.kvm_set_irq] },
  'qemu.register': {
    ns: 300,
    source: ESTIMATE,
    events: [
      E.memory_region_ops_read,
      E.memory_region_ops_write,
      E.virtio_pci_notify_write,
      E.ide_ioport_read,
      E.ide_ioport_write,
      E.ide_status_read,
      E.ide_ctrl_write,
      E.bmdma_read,
      E.bmdma_write,
      E.bmdma_addr_write,
    ],
  },
  'qemu.string': {
    ns: 60,
    source: `${ESTIMATE}: one element of a string instruction, many of which come with one exit`,
    events: [E.ide_data_readw, E.ide_data_readl, E.ide_data_writew, E.ide_data_writel],
  },
  'qemu.device': {
    ns: 250,
    source: ESTIMATE,
    events: [
      E.virtqueue_pop,
      E.virtio_blk_handle_read,
      E.virtio_blk_handle_write,
      E.virtio_blk_req_complete,
      E.virtio_scsi_cmd_req,
      E.scsi_req_parsed,
      E.virtio_scsi_cmd_resp,
      E.virtqueue_fill,
      E.ide_exec_cmd,
      E.ide_sector_read,
      E.ide_sector_write,
      E.ide_dma_cb,
      E.ide_set_inactive,
      E.handle_cmd_fis_dump,
      E.process_ncq_command,
      E.ncq_finish,
      E.ahci_cmd_done,
    ],
  },
  'qemu.block-layer': {
    ns: 1200,
    source: ESTIMATE,
    events: [E.blk_co_preadv, E.blk_co_pwritev, E.blk_co_flush],
  },
  'qemu.notify': {
    ns: 500,
    source: `${ESTIMATE}: an ioctl or a write to an eventfd`,
    events: [E.ide_set_irq, E.ahci_irq_raise, E.virtio_notify, E.virtio_notify_irqfd, E.vu_queue_notify],
  },
  'host.threads': {
    ns: 3000,
    source: `${ESTIMATE}: handing over to a thread of the pool`,
    events: [E.file_paio_submit],
  },
  'host.io_uring': { ns: 900, source: ESTIMATE, events: [E.luring_co_submit] },
  'host.aio': { ns: 1300, source: ESTIMATE, events: [E.laio_co_submit] },
  'host.reap': {
    ns: 300,
    source: `${ESTIMATE}: off a list or a ring in memory; however many there are, the thread is woken once (host.switch)`,
    events: [
      E.thread_pool_complete,
      E.luring_process_completion,
      E.qemu_laio_process_completion,
      E.target_complete_cmd,
    ],
  },
  'host.switch': {
    ns: 1500,
    source: `${ESTIMATE}; charged when a sleeping thread is woken`,
    events: [],
  },
  'host.vhost': {
    ns: 200,
    source: `${ESTIMATE}: one step of a device that the host's kernel or another process serves`,
    events: [
      E.vhost_scsi_get_desc,
      E.target_sequencer_start,
      E.target_cmd_complete,
      E.vhost_add_used,
      E.vu_queue_pop,
      E.vu_blk_virtio_process_req,
      E.vu_blk_req_complete,
      E.vu_queue_push,
    ],
  },
  'host.target': {
    ns: 1200,
    source: `${ESTIMATE}: the SCSI target's back end in the host's kernel`,
    events: [E.fd_execute_rw],
  },
  'host.signal': {
    ns: 300,
    source: `${ESTIMATE}: signalling an eventfd from the host's kernel`,
    events: [E.vhost_signal],
  },
  'guest.interrupt': { ns: 400, source: ESTIMATE, events: [E.irq_handler_entry] },
  'hardware.read': {
    ns: 77_000,
    source: `${NVME}: a random read of 4 KiB`,
    events: [],
  },
  'hardware.write': {
    ns: 18_000,
    source: `${NVME}: a random write of 4 KiB, into its cache`,
    events: [],
  },
  'hardware.flush': {
    ns: 20_000,
    source: `${ESTIMATE}: a drive whose cache survives power loss`,
    events: [],
  },
  'hardware.per-kib': {
    ns: 320,
    source: `${NVME}: about 3,200 MB/s`,
    events: [],
  },
  'hardware.channels': {
    ns: 16,
    source: `${ESTIMATE}; not a time: requests that the drive works on at once`,
    events: [],
  },
} as const satisfies Record<string, Cost>;

export type CostKey = keyof typeof COSTS;
/** Nanoseconds by key. */
export type CostTable = Record<CostKey, number>;

/** The table's figures, with changes. Figures below 0 count as 0. */
export function costTable(changes: Partial<CostTable> = {}): CostTable {
  const keys = Object.keys(COSTS) as CostKey[];
  return Object.fromEntries(
    keys.map((key) => [key, Math.max(0, changes[key] ?? COSTS[key].ns)]),
  ) as CostTable;
}

/** Writes the cost of each event into `costs`, which is indexed by event number (`TraceRing.costs`). */
export function applyCosts(table: CostTable, costs: Float64Array): void {
  costs.fill(0, 0, EVENT_LIMIT);
  for (const key of Object.keys(COSTS) as CostKey[]) {
    const { events }: Cost = COSTS[key];
    for (const event of events) costs[event] = table[key];
  }
}

/**
 * Every event that the laboratory can record. Where QEMU has a trace event for the moment, the event carries QEMU's name; where
 * Linux (block, irq and kvm tracepoints) or a function of either has the better known name, that one. What somebody learns here
 * is what `-trace 'virtio_*'` and `trace-cmd` show elsewhere.
 *
 * Numbers never change their meaning: saved traces carry names, live rows carry numbers.
 */
import { STATIONS, type World } from './stations.ts';

/** How an argument is shown. `address`, `offset` and `sector` are 64 bits wide and take two words of a row, low word first. */
export type ArgFormat =
  | 'dec'
  | 'hex'
  | 'signed'
  | 'bool'
  | 'bytes'
  | 'address'
  | 'offset'
  | 'sector'
  | 'op'
  | 'exit'
  | 'blk-type'
  | 'blk-status'
  | 'device-status'
  | 'extent'
  | 'scsi-op'
  | 'scsi-status'
  | 'scsi-response'
  | 'scsi-tmf'
  | 'scsi-event'
  | 'sense-key'
  | 'sense-code'
  | 'ata-register'
  | 'ata-command'
  | 'ata-dma'
  | 'ahci-register'
  | 'hba-register'
  | 'error-action';

export interface EventArg {
  name: string;
  format: ArgFormat;
}

export interface EventDefinition {
  id: number;
  name: string;
  /** Whose name it is. `qemu`: a trace event of QEMU; `qmp`: an event of its machine protocol; `linux`: a tracepoint of Linux; `function`: a function's name in one of them. */
  origin: 'qemu' | 'qmp' | 'linux' | 'function' | 'platter';
  /** 1–14. */
  station: number;
  world: World;
  args: readonly EventArg[];
}

const definitions: EventDefinition[] = [];

/** `args` as `name:format name:format`; a name alone is decimal. `world`: who does it, when it is not the station's own. */
function event(
  id: number,
  name: string,
  station: number,
  origin: EventDefinition['origin'],
  args: string,
  world: World = STATIONS[station - 1].world,
): number {
  definitions[id] = {
    id,
    name,
    origin,
    station,
    world,
    args: args.split(' ').flatMap((word) => {
      const [argument, format = 'dec'] = word.split(':');
      return argument === '' ? [] : [{ name: argument, format: format as ArgFormat }];
    }),
  };
  return id;
}

/** The numbers of the events, for who records them. */
export const E = {
  // 1: the program hands a request to its kernel.
  io_submit: event(1, 'io_submit', 1, 'linux', 'op:op sector:sector bytes:bytes'),
  // 2: the guest kernel's block layer.
  block_bio_queue: event(2, 'block_bio_queue', 2, 'linux', 'op:op sector:sector sectors'),
  block_split: event(3, 'block_split', 2, 'linux', 'op:op sector:sector sectors'),
  block_bio_backmerge: event(4, 'block_bio_backmerge', 2, 'linux', 'into sector:sector sectors'),
  block_bio_frontmerge: event(5, 'block_bio_frontmerge', 2, 'linux', 'into sector:sector sectors'),
  block_rq_insert: event(6, 'block_rq_insert', 2, 'linux', 'op:op sector:sector sectors'),
  block_rq_issue: event(7, 'block_rq_issue', 2, 'linux', 'op:op sector:sector sectors'),
  block_rq_requeue: event(8, 'block_rq_requeue', 2, 'linux', 'op:op sector:sector sectors'),
  // 3: the guest's driver.
  virtio_queue_rq: event(10, 'virtio_queue_rq', 3, 'function', 'queue type:blk-type sector:sector'),
  virtqueue_add: event(11, 'virtqueue_add', 3, 'function', 'queue head out in'),
  virtqueue_kick: event(12, 'virtqueue_kick', 3, 'function', 'queue avail_idx notify:bool'),
  // 4: out of the guest, into KVM.
  kvm_exit: event(15, 'kvm_exit', 4, 'linux', 'reason:exit address:address size'),
  kvm_mmio: event(16, 'kvm_mmio', 4, 'linux', 'write:bool address:address value:hex'),
  kvm_pio: event(17, 'kvm_pio', 4, 'linux', 'write:bool port:hex size value:hex'),
  kvm_fast_mmio: event(18, 'kvm_fast_mmio', 4, 'linux', 'address:address'),
  ioeventfd_signal: event(19, 'ioeventfd_signal', 4, 'function', 'queue'),
  kvm_userspace_exit: event(20, 'kvm_userspace_exit', 4, 'linux', 'reason:exit'),
  kvm_entry: event(21, 'kvm_entry', 4, 'linux', 'vcpu'),
  // 5: the device in QEMU takes the request.
  memory_region_ops_read: event(25, 'memory_region_ops_read', 5, 'qemu', 'address:address value:hex size'),
  memory_region_ops_write: event(26, 'memory_region_ops_write', 5, 'qemu', 'address:address value:hex size'),
  pci_cfg_read: event(27, 'pci_cfg_read', 5, 'qemu', 'devfn:hex offset:hex value:hex'),
  pci_cfg_write: event(28, 'pci_cfg_write', 5, 'qemu', 'devfn:hex offset:hex value:hex'),
  virtio_pci_notify_write: event(29, 'virtio_pci_notify_write', 5, 'qemu', 'address:address value:hex size'),
  virtio_set_status: event(30, 'virtio_set_status', 5, 'qemu', 'status:device-status'),
  virtio_queue_notify: event(31, 'virtio_queue_notify', 5, 'qemu', 'queue'),
  virtqueue_pop: event(32, 'virtqueue_pop', 5, 'qemu', 'queue head in_num out_num'),
  virtio_blk_handle_read: event(33, 'virtio_blk_handle_read', 5, 'qemu', 'sector:sector nsectors'),
  virtio_blk_handle_write: event(34, 'virtio_blk_handle_write', 5, 'qemu', 'sector:sector nsectors'),
  virtio_blk_handle_flush: event(35, 'virtio_blk_handle_flush', 5, 'function', ''),
  virtio_blk_handle_get_id: event(36, 'virtio_blk_handle_get_id', 5, 'platter', 'bytes:bytes'),
  virtio_blk_handle_discard_write_zeroes: event(
    37,
    'virtio_blk_handle_discard_write_zeroes',
    5,
    'function',
    'type:blk-type segments',
  ),
  virtio_blk_unsupported: event(38, 'virtio_blk_unsupported', 5, 'platter', 'type:blk-type'),
  virtio_error: event(39, 'virtio_error', 5, 'function', 'queue status:device-status'),
  // 6: the host's block layer.
  blk_co_preadv: event(45, 'blk_co_preadv', 6, 'qemu', 'offset:offset bytes:bytes'),
  blk_co_pwritev: event(46, 'blk_co_pwritev', 6, 'qemu', 'offset:offset bytes:bytes'),
  blk_co_flush: event(47, 'blk_co_flush', 6, 'function', ''),
  blk_co_pdiscard: event(48, 'blk_co_pdiscard', 6, 'function', 'offset:offset bytes:bytes'),
  blk_co_pwrite_zeroes: event(49, 'blk_co_pwrite_zeroes', 6, 'function', 'offset:offset bytes:bytes'),
  bdrv_co_block_status: event(
    50,
    'bdrv_co_block_status',
    6,
    'function',
    'kind:extent offset:offset bytes:bytes',
  ),
  file_paio_submit: event(51, 'file_paio_submit', 6, 'qemu', 'op:op offset:offset bytes:bytes'),
  luring_co_submit: event(52, 'luring_co_submit', 6, 'qemu', 'op:op offset:offset bytes:bytes'),
  laio_co_submit: event(53, 'laio_co_submit', 6, 'function', 'op:op offset:offset bytes:bytes'),
  // 7: the hardware.
  host_rq_issue: event(60, 'host_rq_issue', 7, 'platter', 'op:op offset:offset bytes:bytes'),
  // 8: the hardware is done.
  host_rq_complete: event(65, 'host_rq_complete', 8, 'platter', 'op:op error'),
  // 9: the host's I/O stack.
  thread_pool_complete: event(70, 'thread_pool_complete', 9, 'qemu', 'ret:signed'),
  luring_process_completion: event(71, 'luring_process_completion', 9, 'qemu', 'ret:signed'),
  qemu_laio_process_completion: event(72, 'qemu_laio_process_completion', 9, 'function', 'ret:signed'),
  // 10: completion in QEMU.
  virtio_blk_rw_complete: event(75, 'virtio_blk_rw_complete', 10, 'qemu', 'ret:signed'),
  virtio_blk_req_complete: event(76, 'virtio_blk_req_complete', 10, 'qemu', 'status:blk-status'),
  virtqueue_fill: event(77, 'virtqueue_fill', 10, 'qemu', 'queue head len:bytes idx'),
  virtqueue_flush: event(78, 'virtqueue_flush', 10, 'qemu', 'queue count'),
  // 11: the notification.
  virtio_notify: event(80, 'virtio_notify', 11, 'qemu', 'queue'),
  virtio_notify_irqfd: event(81, 'virtio_notify_irqfd', 11, 'qemu', 'queue'),
  virtio_should_notify: event(82, 'virtio_should_notify', 11, 'function', 'queue notify:bool'),
  virtio_pci_notify: event(83, 'virtio_pci_notify', 11, 'qemu', 'vector'),
  msix_notify: event(84, 'msix_notify', 11, 'function', 'vector address:address data:hex'),
  pci_set_irq: event(85, 'pci_set_irq', 11, 'function', 'pin level'),
  // 12: KVM injects the interrupt.
  kvm_msi_set_irq: event(88, 'kvm_msi_set_irq', 12, 'linux', 'address:address data:hex'),
  kvm_set_irq: event(89, 'kvm_set_irq', 12, 'linux', 'gsi level'),
  kvm_inj_virq: event(90, 'kvm_inj_virq', 12, 'linux', 'vector:hex'),
  // 13: the guest's interrupt handler, driver and block layer.
  irq_handler_entry: event(95, 'irq_handler_entry', 13, 'linux', 'irq'),
  virtblk_done: event(96, 'virtblk_done', 13, 'function', 'queue'),
  virtqueue_get_buf: event(97, 'virtqueue_get_buf', 13, 'function', 'queue head len:bytes'),
  block_rq_complete: event(98, 'block_rq_complete', 13, 'linux', 'op:op sector:sector error'),
  irq_handler_exit: event(99, 'irq_handler_exit', 13, 'linux', 'irq'),
  // 14: the program has its answer.
  io_getevents: event(105, 'io_getevents', 14, 'linux', 'op:op bytes:bytes error'),
  // 3: libata in the guest.
  ata_qc_issue: event(160, 'ata_qc_issue', 3, 'linux', 'tag command:ata-command sector:sector'),
  ata_tf_load: event(161, 'ata_tf_load', 3, 'linux', 'port feature:hex nsect lba:hex'),
  ata_bmdma_setup: event(162, 'ata_bmdma_setup', 3, 'linux', 'port command:ata-command'),
  ata_exec_command: event(163, 'ata_exec_command', 3, 'linux', 'port command:ata-command'),
  ata_bmdma_start: event(164, 'ata_bmdma_start', 3, 'linux', 'port command:ata-command'),
  ata_sff_pio_transfer_data: event(
    165,
    'ata_sff_pio_transfer_data',
    3,
    'linux',
    'port bytes:bytes write:bool',
  ),
  ahci_fill_cmd_slot: event(166, 'ahci_fill_cmd_slot', 3, 'function', 'slot prdtl cfis:address'),
  // 5: IDE and AHCI in QEMU.
  ide_ioport_read: event(170, 'ide_ioport_read', 5, 'qemu', 'port:hex register:ata-register value:hex unit'),
  ide_ioport_write: event(
    171,
    'ide_ioport_write',
    5,
    'qemu',
    'port:hex register:ata-register value:hex unit',
  ),
  ide_status_read: event(172, 'ide_status_read', 5, 'qemu', 'port:hex value:hex unit'),
  ide_ctrl_write: event(173, 'ide_ctrl_write', 5, 'qemu', 'port:hex value:hex'),
  ide_data_readw: event(174, 'ide_data_readw', 5, 'qemu', 'port:hex value:hex unit'),
  ide_data_writew: event(175, 'ide_data_writew', 5, 'qemu', 'port:hex value:hex unit'),
  ide_data_readl: event(176, 'ide_data_readl', 5, 'qemu', 'port:hex value:hex unit'),
  ide_data_writel: event(177, 'ide_data_writel', 5, 'qemu', 'port:hex value:hex unit'),
  ide_exec_cmd: event(178, 'ide_exec_cmd', 5, 'qemu', 'unit command:ata-command'),
  ide_sector_read: event(179, 'ide_sector_read', 5, 'qemu', 'sector:sector nsectors'),
  ide_sector_write: event(180, 'ide_sector_write', 5, 'qemu', 'sector:sector nsectors'),
  ide_dma_cb: event(181, 'ide_dma_cb', 5, 'qemu', 'sector:sector nsectors dma:ata-dma'),
  ide_flush_cache: event(182, 'ide_flush_cache', 5, 'function', 'unit'),
  ide_reset: event(183, 'ide_reset', 5, 'qemu', 'unit'),
  ide_cancel_dma_sync_buffered: event(184, 'ide_cancel_dma_sync_buffered', 5, 'qemu', ''),
  ide_cancel_dma_sync_remaining: event(185, 'ide_cancel_dma_sync_remaining', 5, 'qemu', ''),
  bmdma_reset: event(186, 'bmdma_reset', 5, 'qemu', ''),
  bmdma_cmd_writeb: event(187, 'bmdma_cmd_writeb', 5, 'qemu', 'value:hex'),
  bmdma_addr_read: event(188, 'bmdma_addr_read', 5, 'qemu', 'value:hex'),
  bmdma_addr_write: event(189, 'bmdma_addr_write', 5, 'qemu', 'value:hex'),
  bmdma_read: event(190, 'bmdma_read', 5, 'qemu', 'port:hex value:hex'),
  bmdma_write: event(191, 'bmdma_write', 5, 'qemu', 'port:hex value:hex'),
  bmdma_prepare_buf: event(192, 'bmdma_prepare_buf', 5, 'function', 'count bytes:bytes'),
  ide_atapi_cmd: event(193, 'ide_atapi_cmd', 5, 'qemu', 'unit opcode:hex'),
  ide_atapi_cmd_error: event(194, 'ide_atapi_cmd_error', 5, 'qemu', 'sense_key:hex asc:hex'),
  ide_atapi_cmd_check_status: event(195, 'ide_atapi_cmd_check_status', 5, 'qemu', 'unit'),
  ide_atapi_cmd_read: event(196, 'ide_atapi_cmd_read', 5, 'qemu', 'dma:bool sector:sector nsectors'),
  ide_atapi_cmd_reply_end: event(
    197,
    'ide_atapi_cmd_reply_end',
    5,
    'qemu',
    'tx_size:bytes elem_tx_size:bytes index',
  ),
  ide_atapi_cmd_reply_end_bcl: event(198, 'ide_atapi_cmd_reply_end_bcl', 5, 'qemu', 'limit:bytes'),
  ide_atapi_cmd_reply_end_new: event(199, 'ide_atapi_cmd_reply_end_new', 5, 'qemu', 'value:hex'),
  ide_atapi_cmd_reply_end_eot: event(200, 'ide_atapi_cmd_reply_end_eot', 5, 'qemu', 'value:hex'),
  cd_read_sector: event(201, 'cd_read_sector', 5, 'qemu', 'lba nsectors'),
  ide_atapi_cmd_read_dma_cb_aio: event(203, 'ide_atapi_cmd_read_dma_cb_aio', 5, 'qemu', 'lba nsectors'),
  // 10: their completions.
  ide_sector_read_cb: event(205, 'ide_sector_read_cb', 10, 'function', 'ret:signed'),
  ide_sector_write_cb: event(206, 'ide_sector_write_cb', 10, 'function', 'ret:signed'),
  ide_flush_cb: event(207, 'ide_flush_cb', 10, 'function', 'ret:signed'),
  cd_read_sector_cb: event(208, 'cd_read_sector_cb', 10, 'qemu', 'lba ret:signed'),
  ide_set_inactive: event(209, 'ide_set_inactive', 10, 'function', 'more:bool'),
  // 11: their interrupt.
  ide_set_irq: event(210, 'ide_set_irq', 11, 'function', 'irq level'),
  // 5: IDE and AHCI in QEMU.
  ahci_mem_read: event(215, 'ahci_mem_read', 5, 'qemu', 'address:address value:hex size'),
  ahci_mem_write: event(216, 'ahci_mem_write', 5, 'qemu', 'address:address value:hex size'),
  ahci_mem_read_32_host: event(217, 'ahci_mem_read_32_host', 5, 'qemu', 'register:hba-register value:hex'),
  ahci_mem_write_host: event(218, 'ahci_mem_write_host', 5, 'qemu', 'register:hba-register value:hex'),
  ahci_port_read: event(219, 'ahci_port_read', 5, 'qemu', 'port register:ahci-register value:hex'),
  ahci_port_write: event(220, 'ahci_port_write', 5, 'qemu', 'port register:ahci-register value:hex'),
  ahci_check_irq: event(221, 'ahci_check_irq', 5, 'qemu', 'old:hex new:hex'),
  // 10: their completions.
  ahci_trigger_irq: event(222, 'ahci_trigger_irq', 10, 'qemu', 'port bit irqstat:hex'),
  // 11: their interrupt.
  ahci_irq_raise: event(223, 'ahci_irq_raise', 11, 'qemu', ''),
  ahci_irq_lower: event(224, 'ahci_irq_lower', 11, 'qemu', ''),
  // 5: IDE and AHCI in QEMU.
  ahci_reset: event(225, 'ahci_reset', 5, 'qemu', ''),
  ahci_reset_port: event(226, 'ahci_reset_port', 5, 'qemu', 'port'),
  ahci_set_signature: event(227, 'ahci_set_signature', 5, 'qemu', 'port value:hex'),
  handle_cmd_fis_dump: event(228, 'handle_cmd_fis_dump', 5, 'qemu', 'port slot fis:hex command:ata-command'),
  handle_cmd_busy: event(229, 'handle_cmd_busy', 5, 'qemu', 'port'),
  ahci_populate_sglist: event(230, 'ahci_populate_sglist', 5, 'qemu', 'port count bytes:bytes'),
  ahci_start_dma: event(231, 'ahci_start_dma', 5, 'qemu', 'port'),
  ahci_dma_prepare_buf: event(232, 'ahci_dma_prepare_buf', 5, 'qemu', 'port bytes:bytes limit:bytes'),
  ahci_dma_rw_buf: event(233, 'ahci_dma_rw_buf', 5, 'qemu', 'port len:bytes'),
  ahci_pio_transfer: event(234, 'ahci_pio_transfer', 5, 'qemu', 'port bytes:bytes write:bool'),
  // 10: their completions.
  ahci_cmd_done: event(235, 'ahci_cmd_done', 10, 'qemu', 'port slot:signed'),
  ahci_write_fis_d2h: event(236, 'ahci_write_fis_d2h', 10, 'function', 'port value:hex error:hex'),
  ahci_write_fis_pio: event(237, 'ahci_write_fis_pio', 10, 'function', 'port value:hex len:bytes'),
  ahci_write_fis_sdb: event(238, 'ahci_write_fis_sdb', 10, 'function', 'port value:hex sactive:hex'),
  // 5: IDE and AHCI in QEMU.
  process_ncq_command: event(239, 'process_ncq_command', 5, 'qemu', 'tag command:ata-command sector:sector'),
  execute_ncq_command_read: event(240, 'execute_ncq_command_read', 5, 'qemu', 'tag nsectors sector:sector'),
  // 10: their completions.
  ncq_finish: event(241, 'ncq_finish', 10, 'qemu', 'port tag'),
  // 13: libata's interrupt handler.
  ata_bmdma_status: event(245, 'ata_bmdma_status', 13, 'linux', 'port value:hex'),
  ata_bmdma_stop: event(246, 'ata_bmdma_stop', 13, 'linux', 'port'),
  ata_qc_complete_done: event(247, 'ata_qc_complete_done', 13, 'linux', 'port tag status:hex error:hex'),
  ahci_port_intr: event(248, 'ahci_port_intr', 13, 'function', 'port status:hex'),
  // 3: the guest's SCSI layer and virtio_scsi driver.
  scsi_dispatch_cmd_start: event(256, 'scsi_dispatch_cmd_start', 3, 'linux', 'target lun command:scsi-op'),
  virtscsi_queuecommand: event(257, 'virtscsi_queuecommand', 3, 'function', 'queue target lun tag'),
  // 5: virtio-scsi and the SCSI bus in QEMU.
  virtio_scsi_cmd_req: event(260, 'virtio_scsi_cmd_req', 5, 'qemu', 'lun tag command:scsi-op'),
  virtio_scsi_tmf_req: event(261, 'virtio_scsi_tmf_req', 5, 'qemu', 'lun tag subtype:scsi-tmf'),
  virtio_scsi_an_req: event(262, 'virtio_scsi_an_req', 5, 'qemu', 'lun event_requested:hex'),
  scsi_req_parsed: event(263, 'scsi_req_parsed', 5, 'qemu', 'target lun command:scsi-op length:bytes'),
  scsi_req_parsed_lba: event(264, 'scsi_req_parsed_lba', 5, 'qemu', 'target lun lba:sector'),
  scsi_req_parse_bad: event(265, 'scsi_req_parse_bad', 5, 'qemu', 'target lun command:scsi-op'),
  scsi_req_cancel: event(266, 'scsi_req_cancel', 5, 'qemu', 'target lun tag'),
  scsi_device_set_ua: event(267, 'scsi_device_set_ua', 5, 'qemu', 'target lun code:sense-code'),
  // 10: their completions.
  scsi_req_build_sense: event(
    270,
    'scsi_req_build_sense',
    10,
    'qemu',
    'target lun sense_key:sense-key code:sense-code',
  ),
  scsi_req_dequeue: event(271, 'scsi_req_dequeue', 10, 'qemu', 'target lun tag'),
  virtio_scsi_cmd_resp: event(
    272,
    'virtio_scsi_cmd_resp',
    10,
    'qemu',
    'lun tag response:scsi-response status:scsi-status',
  ),
  virtio_scsi_tmf_resp: event(273, 'virtio_scsi_tmf_resp', 10, 'qemu', 'lun tag response:scsi-response'),
  virtio_scsi_an_resp: event(274, 'virtio_scsi_an_resp', 10, 'qemu', 'lun response:scsi-response'),
  virtio_scsi_event: event(275, 'virtio_scsi_event', 10, 'qemu', 'lun event:scsi-event reason:hex'),
  // 13: the guest's driver and SCSI layer hear of it.
  virtscsi_req_done: event(280, 'virtscsi_req_done', 13, 'function', 'queue'),
  scsi_dispatch_cmd_done: event(
    281,
    'scsi_dispatch_cmd_done',
    13,
    'linux',
    'target lun command:scsi-op status:scsi-status',
  ),
  // vhost-scsi: the host's kernel serves the queue, QEMU does not run.
  vhost_scsi_handle_kick: event(285, 'vhost_scsi_handle_kick', 5, 'function', 'queue', 'host'),
  vhost_scsi_get_desc: event(286, 'vhost_scsi_get_desc', 5, 'function', 'queue head in out', 'host'),
  target_sequencer_start: event(
    287,
    'target_sequencer_start',
    5,
    'linux',
    'lun command:scsi-op length:bytes',
    'host',
  ),
  fd_execute_rw: event(288, 'fd_execute_rw', 6, 'function', 'op:op offset:offset bytes:bytes'),
  target_complete_cmd: event(289, 'target_complete_cmd', 9, 'function', 'ret:signed'),
  target_cmd_complete: event(290, 'target_cmd_complete', 10, 'linux', 'lun tag status:scsi-status', 'host'),
  vhost_add_used: event(291, 'vhost_add_used', 10, 'function', 'queue head len:bytes', 'host'),
  vhost_signal: event(292, 'vhost_signal', 11, 'function', 'queue', 'host'),
  // vhost-user-blk: another process serves the queue, QEMU does not run.
  vu_kick_cb: event(295, 'vu_kick_cb', 5, 'function', 'queue', 'host'),
  vu_queue_pop: event(296, 'vu_queue_pop', 5, 'function', 'queue head in_num out_num', 'host'),
  vu_blk_virtio_process_req: event(
    297,
    'vu_blk_virtio_process_req',
    5,
    'function',
    'type:blk-type sector:sector',
    'host',
  ),
  vu_blk_req_complete: event(298, 'vu_blk_req_complete', 10, 'function', 'status:blk-status', 'host'),
  vu_queue_push: event(299, 'vu_queue_push', 10, 'function', 'queue head len:bytes', 'host'),
  vu_queue_notify: event(300, 'vu_queue_notify', 11, 'function', 'queue', 'host'),
  // Said once: what follows is a model.
  vhost_model: event(303, 'vhost_model', 5, 'platter', 'queues', 'host'),
  // virtio over MMIO: one line for everything.
  virtio_mmio_setting_irq: event(304, 'virtio_mmio_setting_irq', 11, 'qemu', 'level:bool'),
  // The guest's page cache.
  mm_filemap_get_pages: event(306, 'mm_filemap_get_pages', 2, 'linux', 'sector:sector pages'),
  mm_filemap_add_to_page_cache: event(307, 'mm_filemap_add_to_page_cache', 2, 'linux', 'sector:sector pages'),
  writeback_dirty_folio: event(308, 'writeback_dirty_folio', 2, 'linux', 'sector:sector pages'),
  writeback_start: event(309, 'writeback_start', 2, 'linux', 'sector:sector pages dirty'),
  folio_end_read: event(310, 'folio_end_read', 13, 'function', 'sector:sector pages'),
  folio_end_writeback: event(311, 'folio_end_writeback', 13, 'function', 'sector:sector pages'),
  page_cache_sync_ra: event(312, 'page_cache_sync_ra', 2, 'function', 'sector:sector pages ahead'),
  page_cache_async_ra: event(313, 'page_cache_async_ra', 2, 'function', 'sector:sector pages ahead'),
  // What QEMU tells whoever manages the machine.
  BLOCK_IO_ERROR: event(330, 'BLOCK_IO_ERROR', 10, 'qmp', 'op:op action:error-action errno'),
  DEVICE_TRAY_MOVED: event(331, 'DEVICE_TRAY_MOVED', 5, 'qmp', 'tray_open:bool'),
  // libata hands a packet to a CD-ROM drive.
  atapi_send_cdb: event(333, 'atapi_send_cdb', 3, 'linux', 'port command:scsi-op'),
  vm_state_notify: event(332, 'vm_state_notify', 10, 'qemu', 'running:bool'),
} as const;

/** One past the largest event number. */
export const EVENT_LIMIT = 334;

/** Every event, by number; holes are `undefined`. */
export const EVENTS: readonly (EventDefinition | undefined)[] = Array.from(
  { length: EVENT_LIMIT },
  (_, id) => definitions[id],
);

const byName = new Map(
  definitions.filter((entry) => entry !== undefined).map((entry) => [entry.name, entry]),
);

/** The event with this name, or undefined. */
export function eventByName(name: string): EventDefinition | undefined {
  return byName.get(name);
}

/** The number of words that an argument takes in a row. */
export function argWords(format: ArgFormat): 1 | 2 {
  return format === 'address' || format === 'offset' || format === 'sector' ? 2 : 1;
}

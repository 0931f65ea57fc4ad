/**
 * All properties of QEMU 7.2's `virtio-blk-pci`, with the types and defaults that QMP's `device-list-properties` tells, and the member of
 * `BlkProperties` that each of the block device's own is. Those without a member belong to the drive, the transport, the PCI function
 * or the firmware.
 */
import type { BlkProperties } from './options.ts';

export interface BlkProperty {
  name: string;
  /** QOM's name of the type. */
  type: string;
  default?: boolean | number | string;
  option?: keyof BlkProperties;
}

function property(
  name: string,
  type: string,
  value?: boolean | number | string,
  option?: keyof BlkProperties,
): BlkProperty {
  return {
    name,
    type,
    ...(value === undefined ? {} : { default: value }),
    ...(option === undefined ? {} : { option }),
  };
}

export const BLK_PROPERTIES: readonly BlkProperty[] = [
  property('account-failed', 'OnOffAuto', 'auto'),
  property('account-invalid', 'OnOffAuto', 'auto'),
  property('acpi-index', 'uint32', 0),
  property('addr', 'int32', -1),
  property('aer', 'bool', false),
  property('any_layout', 'bool', true),
  property('ats', 'bool', false),
  property('backend_defaults', 'OnOffAuto', 'auto'),
  property('bootindex', 'int32'),
  property('class', 'uint32', 0),
  property('config-wce', 'bool', true, 'configWce'),
  property('cyls', 'uint32', 0, 'cylinders'),
  property('disable-legacy', 'OnOffAuto', 'auto'),
  property('disable-modern', 'bool', false),
  property('discard', 'bool', true, 'discard'),
  property('discard_granularity', 'size', 4294967295, 'discardGranularity'),
  property('drive', 'str'),
  property('event_idx', 'bool', true, 'eventIdx'),
  property('failover_pair_id', 'str'),
  property('heads', 'uint32', 0, 'heads'),
  property('indirect_desc', 'bool', true, 'indirectDesc'),
  property('ioeventfd', 'bool', true),
  property('iommu_platform', 'bool', false, 'iommuPlatform'),
  property('iothread', 'link<iothread>'),
  property('lcyls', 'uint32', 0),
  property('lheads', 'uint32', 0),
  property('logical_block_size', 'size', 0, 'logicalBlockSize'),
  property('lsecs', 'uint32', 0),
  property('max-discard-sectors', 'uint32', 4194303, 'maxDiscardSectors'),
  property('max-write-zeroes-sectors', 'uint32', 4194303, 'maxWriteZeroesSectors'),
  property('migrate-extra', 'bool', true),
  property('min_io_size', 'size', 0, 'minIoSize'),
  property('modern-pio-notify', 'bool', false),
  property('multifunction', 'bool', false),
  property('notify_on_empty', 'bool', true),
  property('num-queues', 'uint16', 65535, 'numQueues'),
  property('opt_io_size', 'size', 0, 'optIoSize'),
  property('packed', 'bool', false, 'packed'),
  property('page-per-vq', 'bool', false),
  property('physical_block_size', 'size', 0, 'physicalBlockSize'),
  property('queue-size', 'uint16', 256, 'queueSize'),
  property('queue_reset', 'bool', true, 'queueReset'),
  property('report-discard-granularity', 'bool', true, 'reportDiscardGranularity'),
  property('request-merging', 'bool', true),
  property('rerror', 'BlockdevOnError', 'auto', 'rerror'),
  property('rombar', 'uint32', 1),
  property('romfile', 'str'),
  property('romsize', 'uint32', 4294967295),
  property('scsi', 'bool', false),
  property('secs', 'uint32', 0, 'sectors'),
  property('seg-max-adjust', 'bool', true, 'segMaxAdjust'),
  property('serial', 'str', undefined, 'serial'),
  property('share-rw', 'bool', false),
  property('use-disabled-flag', 'bool', true),
  property('use-started', 'bool', true),
  property('vectors', 'uint32', 4294967295),
  property('virtio-backend', 'child<virtio-blk-device>'),
  property('virtio-pci-bus-master-bug-migration', 'bool', false),
  property('werror', 'BlockdevOnError', 'auto', 'werror'),
  property('write-cache', 'OnOffAuto', 'auto', 'writeCache'),
  property('write-zeroes', 'bool', true, 'writeZeroes'),
  property('x-ats-page-aligned', 'bool', true),
  property('x-disable-legacy-check', 'bool', false),
  property('x-disable-pcie', 'bool', false),
  property('x-enable-wce-if-config-wce', 'bool', true),
  property('x-ignore-backend-features', 'bool', false),
  property('x-pcie-deverr-init', 'bool', true),
  property('x-pcie-extcap-init', 'bool', true),
  property('x-pcie-flr-init', 'bool', true),
  property('x-pcie-lnkctl-init', 'bool', true),
  property('x-pcie-lnksta-dllla', 'bool', true),
  property('x-pcie-pm-init', 'bool', true),
];

/** Defaults that QEMU works out when the device is made: what they come to. */
const AUTOMATIC: Partial<BlkProperties> = {
  // One queue without virtio-pci's own default of one for each virtual CPU.
  numQueues: 1,
  logicalBlockSize: 512,
  physicalBlockSize: 512,
  discardGranularity: -1,
  writeCache: true,
  serial: '',
};

/** The properties of a device that is given none. */
export function defaultProperties(): Partial<BlkProperties> {
  const own = BLK_PROPERTIES.filter(({ option }) => option !== undefined);
  return { ...Object.fromEntries(own.map(({ option, default: value }) => [option, value])), ...AUTOMATIC };
}

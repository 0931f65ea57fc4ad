/** SCSI disks and CD-ROMs behind a virtio-scsi controller, driven by the guest's virtio_scsi and SCSI disk drivers. */
import { VirtioScsiDriver } from '../../guest/virtio-scsi.ts';
import type { VirtioTransportDriver } from '../../guest/virtio-transport.ts';
import { PlatterError } from '../../errors.ts';
import { ScsiDisk } from '../../scsi/disk/disk.ts';
import type { ScsiDiskOptions } from '../../scsi/disk/options.ts';
import { VirtioScsi } from '../../virtio/scsi/device.ts';
import { SCSI_DEFAULTS, type ScsiProperties } from '../../virtio/scsi/options.ts';
import type { VirtioPci } from '../../virtio/transport/pci.ts';
import type { RegisterMap } from '../details/registers.ts';
import { SCSI_DETAILS } from '../details/scsi.ts';
import type { Controller, DrivableDevice } from '../drivable.ts';
import type { ScsiPlace } from '../places.ts';
import { given, Properties } from '../properties.ts';
import type { LabHardware, MachineContext, MachineKind } from './kind.ts';
import { plugVirtioMmio } from './virtio-mmio.ts';
import { plugVirtioPci } from './virtio-pci.ts';
import { virtioHardware } from './virtio.ts';

/** PCI class of virtio-scsi-pci: mass storage, SCSI. */
const CLASS_SCSI = 0x01_0000;
/** Rings, indirect tables, headers and answers of one queue entry. */
const BYTES_PER_ENTRY = 1280;
/** Control and event queue, and what the scan reads into. */
const FIXED_BYTES = 256 * 1024;
const SIZES = { least: 512, most: 2 * 1024 * 1024 };

/** The controller's properties as its option gives them. Throws `lab.bad-value`. */
export function controllerProperties(properties: Properties, cpus: number): Partial<ScsiProperties> {
  const on = SCSI_DEFAULTS;
  return given({
    numQueues: properties.number('num_queues', { least: 1, most: 1022 }) ?? cpus,
    queueSize: properties.powerOfTwo('virtqueue_size', 1024),
    segMaxAdjust: properties.on('seg_max_adjust', on.segMaxAdjust),
    maxSectors: properties.number('max_sectors', { least: 1, most: 0xffff_ffff }),
    cmdPerLun: properties.number('cmd_per_lun', { least: 1, most: 0xffff_ffff }),
    hotplug: properties.on('hotplug', on.hotplug),
    paramChange: properties.on('param_change', on.paramChange),
    indirectDesc: properties.on('indirect_desc', on.indirectDesc),
    eventIdx: properties.on('event_idx', on.eventIdx),
    queueReset: properties.on('queue_reset', on.queueReset),
    packed: properties.on('packed', on.packed),
    iommuPlatform: properties.on('iommu_platform', on.iommuPlatform),
  });
}

/** The disk's properties as its option gives them. Throws `lab.bad-value`. */
function diskOptions(wanted: DrivableDevice, node: MachineContext['node']): ScsiDiskOptions {
  const { properties, driver, drive, unmap } = wanted;
  const text = (key: string): string | undefined => properties.text(key);
  const serial = text('serial');
  const wwn = text('wwn');
  return {
    node,
    kind: driver === 'scsi-cd' ? 'cdrom' : 'disk',
    unmap,
    ...wanted.onErrors,
    deviceId: text('device_id') ?? (serial === undefined ? drive : undefined),
    ...given({
      serial,
      vendor: text('vendor'),
      product: text('product'),
      version: text('ver'),
      wwn: wwn === undefined || !/^(0x)?[0-9a-f]+$/i.test(wwn) ? undefined : BigInt(wwn),
      logicalBlockSize: properties.number('logical_block_size', SIZES),
      physicalBlockSize: properties.number('physical_block_size', SIZES),
      minIoSize: properties.number('min_io_size', { least: 0, most: 65535 * 512 }),
      optIoSize: properties.number('opt_io_size', { least: 0, most: 0x7fff_ffff }),
      rotationRate: properties.number('rotation_rate', { least: 0, most: 0xffff }),
      discardGranularity: properties.number('discard_granularity', { least: 0, most: 0xffff_ffff }),
    }),
    removable: driver === 'scsi-cd' || properties.on('removable', false),
    dpofua: properties.on('dpofua', false),
    writeCache: properties.on('write-cache', true),
  };
}

function controllerOf({ controller, label }: DrivableDevice): Controller {
  if (controller !== undefined) return controller;
  throw new PlatterError('lab.no-controller', `${label} is no disk on a SCSI controller`, {
    option: 'bus',
    value: label,
  });
}

function memoryBytes(wanted: DrivableDevice): number {
  const { properties } = controllerOf(wanted);
  const { numQueues = 1, queueSize = SCSI_DEFAULTS.queueSize } = controllerProperties(
    properties,
    wanted.cpus,
  );
  return (Math.min(numQueues, wanted.cpus) + 2) * queueSize * BYTES_PER_ENTRY + FIXED_BYTES;
}

/** The controller with its units, which are not on a transport yet. */
function createDevice(context: MachineContext): {
  device: VirtioScsi;
  units: readonly ScsiDisk[];
  places: readonly ScsiPlace[];
} {
  const { wanted, memory, trace } = context;
  const { properties } = controllerOf(wanted);
  const device = new VirtioScsi({
    name: context.disks.map((disk) => disk.wanted.label).join(', '),
    memory,
    trace,
    host: context.host,
    ...context.errors,
    nextRequestId: context.nextRequestId,
    properties: controllerProperties(properties, wanted.cpus),
    irqfd: properties.on('ioeventfd', true),
    onReady: context.wakeDevice,
  });
  const places = context.disks.map((disk) => disk.wanted.scsi ?? { target: 0, lun: 0 });
  const units = context.disks.map((disk, index) => {
    const unit = new ScsiDisk(diskOptions(disk.wanted, disk.node));
    device.attach(places[index].target, places[index].lun, unit);
    return unit;
  });
  return { device, units, places };
}

/** The hardware, once it is known where the controller is and who drives its transport. */
function finish(
  context: MachineContext,
  { device, units, places }: ReturnType<typeof createDevice>,
  transport: VirtioPci | RegisterMap,
  driver: VirtioTransportDriver,
  gsi?: number,
): LabHardware {
  const { memory, allocator, trace, bus, settle } = context;
  const parts = { transport: driver, memory, allocator, trace, bus, settle, gsi };
  const scsi = new VirtioScsiDriver({ ...parts, disks: places });
  const hardware = virtioHardware(device, transport, scsi, SCSI_DETAILS, context);
  hardware.disks.forEach((disk, index) => (disk.removable = units[index].drive));
  return hardware;
}

export const virtioScsi: MachineKind = {
  drivers: [
    'virtio-scsi-pci',
    'virtio-scsi-pci-transitional',
    'virtio-scsi-pci-non-transitional',
    'virtio-scsi',
  ],
  memoryBytes,
  build(context): LabHardware {
    const made = createDevice(context);
    const controller = controllerOf(context.wanted);
    const { transport, driver, gsi } = plugVirtioPci(context, controller, made.device, CLASS_SCSI);
    return finish(context, made, transport, driver, gsi);
  },
};

/** `virtio-scsi-device`: the same controller on a virtio-mmio transport. */
export const virtioScsiMmio: MachineKind = {
  drivers: ['virtio-scsi-device'],
  mmio: true,
  memoryBytes,
  build(context): LabHardware {
    const made = createDevice(context);
    const { mmioTransport } = controllerOf(context.wanted);
    const { registers, driver } = plugVirtioMmio(context, made.device, mmioTransport);
    return finish(context, made, registers, driver);
  },
};

/** virtio-blk on PCI or on a virtio-mmio transport, driven by the guest's virtio_blk. */
import { VirtioBlkDriver } from '../../guest/virtio-blk.ts';
import { VirtioBlk } from '../../virtio/blk/device.ts';
import { BLK_DEFAULTS, REQUEST_MAX_SECTORS, type BlkProperties } from '../../virtio/blk/options.ts';
import { BLK_DETAILS } from '../details/device.ts';
import type { DrivableDevice } from '../drivable.ts';
import { given } from '../properties.ts';
import type { LabHardware, MachineContext, MachineKind } from './kind.ts';
import { plugVirtioMmio } from './virtio-mmio.ts';
import { plugVirtioPci } from './virtio-pci.ts';
import { virtioHardware } from './virtio.ts';

/** PCI class of virtio-blk-pci: mass storage, other. */
const CLASS_STORAGE = 0x01_0000;
/** Rings, indirect tables and headers of one queue entry. */
const BYTES_PER_ENTRY = 1024;
const SIZES = { least: 512, most: 2 * 1024 * 1024 };

/** The device's properties as its option gives them. Throws `lab.bad-value`. */
export function blkProperties({ properties, cpus }: DrivableDevice): Partial<BlkProperties> {
  const { discard, writeZeroes, ...on } = BLK_DEFAULTS;
  return given({
    serial: properties.text('serial'),
    numQueues: properties.number('num-queues', { least: 1, most: 1024 }) ?? cpus,
    queueSize: properties.powerOfTwo('queue-size', 1024),
    logicalBlockSize: properties.number('logical_block_size', SIZES),
    physicalBlockSize: properties.number('physical_block_size', SIZES),
    minIoSize: properties.number('min_io_size', { least: 0, most: 65535 * 512 }),
    optIoSize: properties.number('opt_io_size', { least: 0, most: 0x7fff_ffff }),
    segMaxAdjust: properties.on('seg-max-adjust', on.segMaxAdjust),
    writeCache: properties.on('write-cache', on.writeCache),
    configWce: properties.on('config-wce', on.configWce),
    discard: properties.on('discard', discard),
    writeZeroes: properties.on('write-zeroes', writeZeroes),
    indirectDesc: properties.on('indirect_desc', on.indirectDesc),
    eventIdx: properties.on('event_idx', on.eventIdx),
    queueReset: properties.on('queue_reset', on.queueReset),
    packed: properties.on('packed', on.packed),
    iommuPlatform: properties.on('iommu_platform', on.iommuPlatform),
    cylinders: properties.number('cyls', { least: 0, most: 65535 }),
    heads: properties.number('heads', { least: 0, most: 255 }),
    sectors: properties.number('secs', { least: 0, most: 255 }),
    discardGranularity: properties.number('discard_granularity', { least: 0, most: 0xffff_ffff }),
    reportDiscardGranularity: properties.on('report-discard-granularity', on.reportDiscardGranularity),
    maxDiscardSectors: properties.number('max-discard-sectors', { least: 1, most: REQUEST_MAX_SECTORS }),
    maxWriteZeroesSectors: properties.number('max-write-zeroes-sectors', {
      least: 1,
      most: REQUEST_MAX_SECTORS,
    }),
  });
}

function memoryBytes(wanted: DrivableDevice): number {
  const { numQueues = 1, queueSize = BLK_DEFAULTS.queueSize } = blkProperties(wanted);
  return Math.min(numQueues, wanted.cpus) * queueSize * BYTES_PER_ENTRY;
}

function createDevice(context: MachineContext): VirtioBlk {
  const { wanted } = context;
  return new VirtioBlk({
    name: wanted.label,
    memory: context.memory,
    trace: context.trace,
    node: context.node,
    host: context.host,
    nextRequestId: context.nextRequestId,
    properties: { ...blkProperties(wanted), ...wanted.onErrors },
    ...context.errors,
    readOnly: wanted.readOnly,
    unmap: wanted.unmap,
    irqfd: wanted.properties.on('ioeventfd', true),
  });
}

export const virtioBlk: MachineKind = {
  drivers: ['virtio-blk-pci', 'virtio-blk-pci-transitional', 'virtio-blk-pci-non-transitional', 'virtio-blk'],
  memoryBytes,
  build(context): LabHardware {
    const device = createDevice(context);
    const { transport, driver, gsi } = plugVirtioPci(context, context.wanted, device, CLASS_STORAGE);
    const { memory, allocator, trace } = context;
    const blk = new VirtioBlkDriver({ transport: driver, memory, allocator, trace, gsi });
    return virtioHardware(device, transport, blk, BLK_DETAILS, context);
  },
};

/** `virtio-blk-device`: on a virtio-mmio transport, without PCI. */
export const virtioBlkMmio: MachineKind = {
  drivers: ['virtio-blk-device'],
  mmio: true,
  memoryBytes,
  build(context): LabHardware {
    const { memory, allocator, trace, wanted } = context;
    const device = createDevice(context);
    const { registers, driver } = plugVirtioMmio(context, device, wanted.mmioTransport);
    const blk = new VirtioBlkDriver({ transport: driver, memory, allocator, trace });
    return virtioHardware(device, registers, blk, BLK_DETAILS, context);
  },
};

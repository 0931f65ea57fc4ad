/** virtio-blk-pci: the device on its modern transport, driven by the guest's virtio_blk. */
import { VirtioBlkDriver } from '../../guest/virtio-blk.ts';
import { VirtioPciDriver } from '../../guest/virtio-pci.ts';
import { VirtioBlk } from '../../virtio/blk/device.ts';
import { BLK_DEFAULTS, type BlkProperties } from '../../virtio/blk/options.ts';
import { VirtioPci } from '../../virtio/transport/pci.ts';
import type { DrivableDevice } from '../drivable.ts';
import { given } from '../properties.ts';
import type { MachineKind } from './kind.ts';
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
  });
}

export const virtioBlk: MachineKind = {
  // The transitional ones are driven through their modern half.
  drivers: ['virtio-blk-pci', 'virtio-blk-pci-non-transitional', 'virtio-blk'],

  memoryBytes(wanted) {
    const { numQueues = 1, queueSize = BLK_DEFAULTS.queueSize } = blkProperties(wanted);
    return Math.min(numQueues, wanted.cpus) * queueSize * BYTES_PER_ENTRY;
  },

  build(context) {
    const { wanted, memory, trace, space, interrupts, wakeDevice } = context;
    const device = new VirtioBlk({
      name: wanted.label,
      memory,
      trace,
      node: context.node,
      host: context.host,
      nextRequestId: context.nextRequestId,
      properties: blkProperties(wanted),
      readOnly: wanted.readOnly,
      unmap: wanted.unmap,
      irqfd: wanted.properties.text('iothread') !== undefined,
    });
    const transport = new VirtioPci(device, {
      interrupts,
      memory: space,
      vectors: wanted.properties.number('vectors', { least: 0, most: 2048 }),
      ioeventfd: wanted.properties.on('ioeventfd', true),
      classCode: CLASS_STORAGE,
      onDoorbell: wakeDevice,
    });
    const slot = context.pci.plug(transport.pci, wanted.slot);
    context.firmware(slot);
    const driver = new VirtioBlkDriver({
      transport: new VirtioPciDriver(context.bus, slot),
      memory,
      allocator: context.allocator,
      trace,
    });
    return virtioHardware(wanted.label, device, transport, driver);
  },
};

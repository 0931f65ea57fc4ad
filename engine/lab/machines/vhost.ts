/** vhost-scsi and vhost-user-blk as models: the guest's drivers and rings are those of virtio-scsi and virtio-blk; who serves them is not. */
import { VirtioBlkDriver } from '../../guest/virtio-blk.ts';
import { VirtioScsiDriver } from '../../guest/virtio-scsi.ts';
import { ScsiDisk } from '../../scsi/disk/disk.ts';
import { SCSI_DEFAULTS } from '../../virtio/scsi/options.ts';
import { VhostScsi } from '../../virtio/vhost/scsi.ts';
import { VhostUserBlk } from '../../virtio/vhost/user-blk.ts';
import { BLK_DETAILS } from '../details/device.ts';
import { SCSI_DETAILS } from '../details/scsi.ts';
import type { DrivableDevice } from '../drivable.ts';
import type { LabHardware, MachineKind } from './kind.ts';
import { blkProperties, virtioBlk } from './virtio-blk.ts';
import { plugVirtioPci } from './virtio-pci.ts';
import { controllerProperties } from './virtio-scsi.ts';
import { virtioHardware } from './virtio.ts';

/** PCI class of both: mass storage, SCSI or other. */
const CLASS_STORAGE = 0x01_0000;
const BYTES_PER_ENTRY = 1280;
const FIXED_BYTES = 256 * 1024;
/** LIO counts target portal groups from 1, and the guest sees the group as the target. */
const PORTAL_GROUP = 1;

const names = (device: string): string[] => [
  `${device}-pci`,
  `${device}-pci-transitional`,
  `${device}-pci-non-transitional`,
];

function scsiMemory({ properties, cpus }: DrivableDevice): number {
  const { numQueues = 1, queueSize = SCSI_DEFAULTS.queueSize } = controllerProperties(properties, cpus);
  return (Math.min(numQueues, cpus) + 2) * queueSize * BYTES_PER_ENTRY + FIXED_BYTES;
}

export const vhostScsi: MachineKind = {
  drivers: names('vhost-scsi'),
  memoryBytes: scsiMemory,
  build(context): LabHardware {
    const { wanted, memory, allocator, trace, bus, settle, node } = context;
    const device = new VhostScsi({
      name: wanted.label,
      memory,
      trace,
      host: context.host,
      nextRequestId: context.nextRequestId,
      // The kernel's target tells of no changed parameters.
      properties: { ...controllerProperties(wanted.properties, wanted.cpus), paramChange: false },
      onReady: context.wakeDevice,
    });
    const disk = { target: PORTAL_GROUP, lun: 0 };
    const unit = new ScsiDisk({
      node,
      kind: 'disk',
      vendor: 'LIO-ORG',
      product: 'FILEIO',
      version: '4.0',
      deviceId: wanted.properties.text('wwpn'),
    });
    device.attach(disk.target, disk.lun, unit);
    const { transport, driver, gsi } = plugVirtioPci(context, wanted, device, CLASS_STORAGE);
    const parts = { transport: driver, memory, allocator, trace, bus, settle, gsi };
    const scsi = new VirtioScsiDriver({ ...parts, disks: [disk] });
    return virtioHardware(device, transport, scsi, SCSI_DETAILS, context);
  },
};

export const vhostUserBlk: MachineKind = {
  drivers: names('vhost-user-blk'),
  memoryBytes: (wanted, disks) => virtioBlk.memoryBytes(wanted, disks),
  build(context): LabHardware {
    const { wanted, memory, allocator, trace, node } = context;
    const device = new VhostUserBlk({
      name: wanted.label,
      memory,
      trace,
      node,
      host: context.host,
      nextRequestId: context.nextRequestId,
      properties: blkProperties(wanted),
      readOnly: wanted.readOnly,
      unmap: wanted.unmap,
    });
    const { transport, driver, gsi } = plugVirtioPci(context, wanted, device, CLASS_STORAGE);
    const blk = new VirtioBlkDriver({ transport: driver, memory, allocator, trace, gsi });
    return virtioHardware(device, transport, blk, BLK_DETAILS, context);
  },
};

/**
 * The storage devices and controllers by kind: the bus they sit on, the bus they offer, whether they take a drive.
 * Source: hw/block, hw/ide, hw/scsi, hw/nvme, hw/usb, hw/pci-bridge of QEMU 7.2–10.2.
 */
export type BusType =
  'PCI' | 'SCSI' | 'IDE' | 'virtio-bus' | 'usb-bus' | 'ISA' | 'floppy-bus' | 'sd-bus' | 'nvme-bus' | 'System';

export interface DeviceKind {
  /** The bus it plugs into. */
  bus: BusType;
  /** `disk`: takes a drive. `controller`: offers a bus for disks. `bridge`: offers PCI buses. */
  role: 'disk' | 'controller' | 'bridge' | 'other';
  /** The family whose rules hold for it. */
  family:
    | 'virtio-blk'
    | 'virtio-scsi'
    | 'scsi-disk'
    | 'ide-disk'
    | 'nvme'
    | 'usb-storage'
    | 'floppy'
    | 'sd-card'
    | 'vhost-user-blk'
    | 'vhost-scsi'
    | 'hba'
    | 'ahci'
    | 'ide'
    | 'pci-bridge'
    | 'usb-hc'
    | 'fdc'
    | 'pmem'
    | 'other';
  /** Type and number of the buses it offers; their names are `<id>.<n>`. */
  offers?: { type: BusType; count: number };
  /** A drive must be given. */
  needsDrive?: boolean;
  /** Removable: the drive may be empty. */
  removable?: boolean;
}

const VIRTIO_BUS: DeviceKind['bus'] = 'virtio-bus';

function both(name: string, kind: Omit<DeviceKind, 'bus'>): [string, DeviceKind][] {
  return [
    [`${name}-pci`, { ...kind, bus: 'PCI' }],
    [`${name}-pci-transitional`, { ...kind, bus: 'PCI' }],
    [`${name}-pci-non-transitional`, { ...kind, bus: 'PCI' }],
    [`${name}-ccw`, { ...kind, bus: VIRTIO_BUS }],
    [
      name === 'vhost-user-blk' || name === 'vhost-scsi' || name === 'vhost-user-scsi'
        ? name
        : `${name}-device`,
      { ...kind, bus: VIRTIO_BUS },
    ],
  ];
}

const scsiBus = { type: 'SCSI' as const, count: 1 };
const hba: DeviceKind = { bus: 'PCI', role: 'controller', family: 'hba', offers: scsiBus };
const bridge: DeviceKind = {
  bus: 'PCI',
  role: 'bridge',
  family: 'pci-bridge',
  offers: { type: 'PCI', count: 1 },
};
const usb: DeviceKind = {
  bus: 'PCI',
  role: 'controller',
  family: 'usb-hc',
  offers: { type: 'usb-bus', count: 1 },
};
const ide: DeviceKind = { bus: 'PCI', role: 'controller', family: 'ide', offers: { type: 'IDE', count: 2 } };

const kinds = new Map<string, DeviceKind>([
  ...both('virtio-blk', { role: 'disk', family: 'virtio-blk', needsDrive: true }),
  ...both('virtio-scsi', { role: 'controller', family: 'virtio-scsi', offers: scsiBus }),
  ...both('vhost-user-blk', { role: 'other', family: 'vhost-user-blk' }),
  ...both('vhost-user-scsi', { role: 'other', family: 'vhost-scsi' }),
  ...both('vhost-scsi', { role: 'other', family: 'vhost-scsi' }),
  ...both('virtio-pmem', { role: 'other', family: 'pmem' }),
  ['lsi53c895a', hba],
  ['lsi53c810', hba],
  ['mptsas1068', hba],
  ['megasas', hba],
  ['megasas-gen2', hba],
  ['pvscsi', hba],
  ['am53c974', hba],
  ['dc390', hba],
  ['spapr-vscsi', { ...hba, bus: 'System' }],
  ['scsi-hd', { bus: 'SCSI', role: 'disk', family: 'scsi-disk', needsDrive: true }],
  ['scsi-cd', { bus: 'SCSI', role: 'disk', family: 'scsi-disk', removable: true }],
  ['scsi-block', { bus: 'SCSI', role: 'disk', family: 'scsi-disk', needsDrive: true }],
  ['scsi-generic', { bus: 'SCSI', role: 'disk', family: 'scsi-disk', needsDrive: true }],
  ['ide-hd', { bus: 'IDE', role: 'disk', family: 'ide-disk', needsDrive: true }],
  ['ide-cd', { bus: 'IDE', role: 'disk', family: 'ide-disk', removable: true }],
  ['ide-cf', { bus: 'IDE', role: 'disk', family: 'ide-disk', needsDrive: true }],
  ['nvme', { bus: 'PCI', role: 'disk', family: 'nvme', offers: { type: 'nvme-bus', count: 1 } }],
  ['nvme-ns', { bus: 'nvme-bus', role: 'disk', family: 'nvme', needsDrive: true }],
  ['usb-storage', { bus: 'usb-bus', role: 'disk', family: 'usb-storage', needsDrive: true }],
  ['usb-bot', { bus: 'usb-bus', role: 'controller', family: 'usb-storage', offers: scsiBus }],
  ['usb-uas', { bus: 'usb-bus', role: 'controller', family: 'usb-storage', offers: scsiBus }],
  ['floppy', { bus: 'floppy-bus', role: 'disk', family: 'floppy', removable: true }],
  ['isa-fdc', { bus: 'ISA', role: 'controller', family: 'fdc', offers: { type: 'floppy-bus', count: 1 } }],
  ['sd-card', { bus: 'sd-bus', role: 'disk', family: 'sd-card', removable: true }],
  ['sdhci-pci', { bus: 'PCI', role: 'controller', family: 'other', offers: { type: 'sd-bus', count: 1 } }],
  ['ich9-ahci', { bus: 'PCI', role: 'controller', family: 'ahci', offers: { type: 'IDE', count: 6 } }],
  ['piix3-ide', ide],
  ['piix4-ide', ide],
  ['isa-ide', { bus: 'ISA', role: 'controller', family: 'ide', offers: { type: 'IDE', count: 1 } }],
  ['pcie-root-port', bridge],
  ['ioh3420', bridge],
  ['pci-bridge', bridge],
  ['pcie-pci-bridge', bridge],
  ['i82801b11-bridge', bridge],
  ['x3130-upstream', bridge],
  ['xio3130-downstream', bridge],
  ['pxb', bridge],
  ['pxb-pcie', bridge],
  ['qemu-xhci', usb],
  ['nec-usb-xhci', usb],
  ['usb-ehci', usb],
  ['ich9-usb-ehci1', usb],
  ['piix3-usb-uhci', usb],
  ['ich9-usb-uhci1', usb],
  ['piix4-usb-uhci', usb],
]);

/** Names that `-device` takes for another driver (softmmu/qdev-monitor.c, `qdev_alias_table`; x86 meanings). */
const ALIASES: Record<string, string> = {
  'virtio-blk': 'virtio-blk-pci',
  'virtio-scsi': 'virtio-scsi-pci',
  'vhost-user-blk': 'vhost-user-blk',
  'virtio-pmem': 'virtio-pmem-pci',
  ahci: 'ich9-ahci',
  lsi: 'lsi53c895a',
  lsi53c895a: 'lsi53c895a',
  'scsi-disk': 'scsi-hd',
};

/** The driver that a name stands for. */
export function canonicalDriver(name: string): string {
  return Object.hasOwn(ALIASES, name) ? ALIASES[name] : name;
}

/** What is known of a driver, by its canonical name. */
export function deviceKind(driver: string): DeviceKind | undefined {
  return kinds.get(driver);
}

/** Every storage driver that is known here. */
export function deviceNames(): string[] {
  return [...kinds.keys()];
}

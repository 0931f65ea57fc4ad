/** PCI configuration space: the header of type 0, base address registers, the list of capabilities (PCI 3.0, chapter 6). */
import type { DetailField } from '#contract/lab-details.ts';
import { PCI, type PciFunction } from '../../machine/pci/function.ts';
import { CAP, CAP_MSIX, CAP_VENDOR } from '../../virtio/transport/pci-layout.ts';
import { bitFields, field, type BitName, type Section } from './section.ts';

const COMMAND_BITS: readonly BitName[] = [
  { bit: 0, name: 'I/O Space', meaning: 'pci.command.io' },
  { bit: 1, name: 'Memory Space', meaning: 'pci.command.memory' },
  { bit: 2, name: 'Bus Master', meaning: 'pci.command.master' },
  { bit: 6, name: 'Parity Error Response', meaning: 'pci.command.parity' },
  { bit: 8, name: 'SERR# Enable', meaning: 'pci.command.serr' },
  { bit: 10, name: 'Interrupt Disable', meaning: 'pci.command.intx' },
];
const STATUS_BITS: readonly BitName[] = [
  { bit: 3, name: 'Interrupt Status', meaning: 'pci.status.interrupt' },
  { bit: 4, name: 'Capabilities List', meaning: 'pci.status.capabilities' },
];
const MSIX_BITS: readonly BitName[] = [
  { bit: 15, name: 'MSI-X Enable', meaning: 'pci.msix.enable' },
  { bit: 14, name: 'Function Mask', meaning: 'pci.msix.mask' },
];

/** Base classes and subclasses of disks and their controllers (PCI Code and ID Assignment Specification, chapter 1). */
const CLASSES = new Map([
  [0x0100, 'mass storage, SCSI'],
  [0x0101, 'mass storage, IDE'],
  [0x0106, 'mass storage, SATA'],
  [0x0108, 'mass storage, NVM'],
  [0x0180, 'mass storage, other'],
]);
const CFG_TYPES = ['', 'COMMON_CFG', 'NOTIFY_CFG', 'ISR_CFG', 'DEVICE_CFG', 'PCI_CFG'];
/** Capability ids (PCI Code and ID Assignment Specification, chapter 2). */
const CAPABILITIES = new Map([
  [0x01, 'Power Management'],
  [0x05, 'MSI'],
  [CAP_VENDOR, 'Vendor-Specific'],
  [0x10, 'PCI Express'],
  [CAP_MSIX, 'MSI-X'],
  [0x12, 'SATA'],
]);

const at = (offset: number) => ({ place: { space: 'pci', offset } as const });

function header(pci: PciFunction, view: DataView): DetailField[] {
  const word = (name: string, meaning: string, offset: number, text = ''): DetailField =>
    field(name, meaning, view.getUint16(offset, true), 2, { ...at(offset), text, source: 'PCI 3.0, 6.2.1' });
  const byte = (name: string, meaning: string, offset: number, source: string, text = ''): DetailField =>
    field(name, meaning, view.getUint8(offset), 1, { ...at(offset), text, source });
  const command = view.getUint16(PCI.command, true);
  const status = view.getUint16(PCI.status, true);
  const classCode = view.getUint32(PCI.revision, true) >>> 8;
  const pin = view.getUint8(PCI.interruptPin);
  return [
    word('Vendor ID', 'pci.vendor', PCI.vendor, vendorName(view.getUint16(PCI.vendor, true))),
    word('Device ID', 'pci.device', PCI.device, pci.identity.name),
    field('Command', 'pci.command', command, 2, { ...at(PCI.command), source: 'PCI 3.0, 6.2.2' }),
    ...bitFields(command, COMMAND_BITS, { ...at(PCI.command), source: 'PCI 3.0, 6.2.2' }),
    field('Status', 'pci.status', status, 2, { ...at(PCI.status), source: 'PCI 3.0, 6.2.3' }),
    ...bitFields(status, STATUS_BITS, { ...at(PCI.status), source: 'PCI 3.0, 6.2.3' }),
    byte('Revision ID', 'pci.revision', PCI.revision, 'PCI 3.0, 6.2.1'),
    field('Class Code', 'pci.class', classCode, 3, {
      ...at(PCI.classCode),
      source: 'PCI 3.0, 6.2.1',
      text: CLASSES.get(classCode >>> 8) ?? '',
    }),
    byte('Header Type', 'pci.header-type', PCI.headerType, 'PCI 3.0, 6.2.1'),
    word('Subsystem Vendor ID', 'pci.subsystem', PCI.subsystemVendor),
    word('Subsystem ID', 'pci.subsystem', PCI.subsystem),
    byte('Capabilities Pointer', 'pci.capabilities', PCI.capabilities, 'PCI 3.0, 6.7'),
    byte('Interrupt Line', 'pci.interrupt-line', PCI.interruptLine, 'PCI 3.0, 6.2.4'),
    byte(
      'Interrupt Pin',
      'pci.interrupt-pin',
      PCI.interruptPin,
      'PCI 3.0, 6.2.4',
      pin === 0 ? '' : `INT${'?ABCD'[pin] ?? '?'}#`,
    ),
  ];
}

function vendorName(vendor: number): string {
  return vendor === 0x1af4 ? 'Red Hat (virtio)' : vendor === 0x8086 ? 'Intel' : '';
}

function bars(pci: PciFunction, view: DataView): DetailField[] {
  return pci.bars.flatMap(({ index, kind, size, name, base }) => {
    const offset = PCI.bar0 + index * 4;
    const low = view.getUint32(offset, true);
    const value = kind === 'mem64' ? low + view.getUint32(offset + 4, true) * 0x1_0000_0000 : low;
    const flags = low & (kind === 'io' ? 3 : 15);
    const source = 'PCI 3.0, 6.2.5.1';
    const width = kind === 'mem64' ? 8 : 4;
    const kinds = { io: 'I/O', mem32: 'memory, 32-bit', mem64: 'memory, 64-bit' };
    const prefetchable = kind !== 'io' && (flags & 8) !== 0 ? ', prefetchable' : '';
    return [
      field(`BAR ${index}`, 'pci.bar', value, width, { ...at(offset), source, text: name }),
      field('range type', 'pci.bar.type', flags, 1, {
        ...at(offset),
        level: 1,
        source,
        text: kinds[kind] + prefetchable,
      }),
      field('range size', 'pci.bar.size', size, width, { ...at(offset), level: 1, as: 'bytes', source }),
      field('range address', 'pci.bar.address', base ?? null, width, {
        level: 1,
        source,
        tone: base === undefined ? 'off' : 'on',
        text: base === undefined ? 'not decoded' : '',
        place:
          base === undefined
            ? at(offset).place
            : kind === 'io'
              ? { space: 'port', port: base }
              : { space: 'memory', address: base },
      }),
    ];
  });
}

function virtioCapability(view: DataView, offset: number): DetailField[] {
  const source = 'virtio 1.2, 4.1.4';
  const type = view.getUint8(offset + CAP.type);
  const rows = [
    field('cfg_type', 'cap.cfg-type', type, 1, {
      ...at(offset + CAP.type),
      level: 1,
      source,
      text: CFG_TYPES[type] ?? '',
    }),
    field('bar', 'cap.bar', view.getUint8(offset + CAP.bar), 1, {
      ...at(offset + CAP.bar),
      level: 1,
      source,
    }),
    field('offset', 'cap.offset', view.getUint32(offset + CAP.offset, true), 4, {
      ...at(offset + CAP.offset),
      level: 1,
      source,
    }),
    field('length', 'cap.length', view.getUint32(offset + CAP.length, true), 4, {
      ...at(offset + CAP.length),
      level: 1,
      source,
    }),
  ];
  if (CFG_TYPES[type] === 'NOTIFY_CFG') {
    const multiplier = view.getUint32(offset + CAP.multiplier, true);
    rows.push(
      field('notify_off_multiplier', 'cap.multiplier', multiplier, 4, {
        ...at(offset + CAP.multiplier),
        level: 1,
        source: 'virtio 1.2, 4.1.4.4',
      }),
    );
  }
  return rows;
}

function msixCapability(view: DataView, offset: number): DetailField[] {
  const source = 'PCI 3.0, 6.8.2';
  const control = view.getUint16(offset + 2, true);
  const table = view.getUint32(offset + 4, true);
  const pending = view.getUint32(offset + 8, true);
  const where = (value: number): string => `BAR ${value & 7} + 0x${((value & ~7) >>> 0).toString(16)}`;
  return [
    field('Message Control', 'pci.msix.control', control, 2, { ...at(offset + 2), level: 1, source }),
    field('Table Size', 'pci.msix.size', (control & 0x7ff) + 1, 2, {
      ...at(offset + 2),
      level: 1,
      source,
      as: 'count',
    }),
    ...bitFields(control, MSIX_BITS, { ...at(offset + 2), source, level: 1 }),
    field('Table', 'pci.msix.table', table, 4, { ...at(offset + 4), level: 1, source, text: where(table) }),
    field('PBA', 'pci.msix.pba', pending, 4, { ...at(offset + 8), level: 1, source, text: where(pending) }),
  ];
}

/** The list as a driver walks it; at most as many as fit, since the guest may have written over what it may write. */
function capabilities(view: DataView): DetailField[] {
  const rows: DetailField[] = [];
  for (let offset = view.getUint8(PCI.capabilities), left = 48; offset >= 0x40 && left > 0; left--) {
    const id = view.getUint8(offset);
    const next = view.getUint8(offset + 1);
    rows.push(
      field(CAPABILITIES.get(id) ?? `capability 0x${id.toString(16)}`, 'cap', id, 1, {
        ...at(offset),
        source: 'PCI 3.0, 6.7',
        text: next === 0 ? '' : `→ 0x${next.toString(16)}`,
      }),
    );
    if (id === CAP_VENDOR && offset + CAP.data + 4 <= view.byteLength)
      rows.push(...virtioCapability(view, offset));
    if (id === CAP_MSIX && offset + 12 <= view.byteLength) rows.push(...msixCapability(view, offset));
    offset = next;
  }
  return rows;
}

export function pciSections(pci: PciFunction): Section[] {
  const view = new DataView(pci.config.buffer);
  return [
    {
      id: 'pci',
      key: 'pci',
      text: pci.address,
      fields: () => header(pci, view),
    },
    { id: 'bars', key: 'bars', text: '', fields: () => bars(pci, view) },
    { id: 'capabilities', key: 'capabilities', text: '', fields: () => capabilities(view) },
  ];
}

/**
 * The buses that a machine brings along and the places that its own devices take. Source: hw/i386/pc_piix.c, pc_q35.c,
 * microvm.c, softmmu/vl.c (`default_list`), seen with `info qtree` of QEMU 7.2.
 */
import type { CommandLine } from '../model.ts';
import type { StorageModel } from '../storage-model.ts';
import type { BusType } from './device-kinds.ts';
import type { Bus } from './placement.ts';
import { readBool } from './values.ts';
import { valueAt } from './tree.ts';

export function newBus(name: string, type: BusType, units?: number): Bus {
  const made: Bus = { name, type, used: new Map(), plugged: [], onBoard: 0, below: [] };
  if (type === 'virtio-bus') made.limit = 1;
  if (units !== undefined) made.units = units;
  return made;
}

const VGA_DEVICES = new Set([
  'VGA',
  'isa-cirrus-vga',
  'isa-vga',
  'cirrus-vga',
  'vmware-svga',
  'qxl-vga',
  'virtio-vga',
  'virtio-vga-gl',
  'ati-vga',
  'vhost-user-vga',
  'virtio-vga-rutabaga',
]);

/** How many of the first free slots go to the default graphics card and network card. */
function defaultCards(line: CommandLine, nodefaults: boolean): number {
  const vga = line.options.findLast((o) => o.name === 'vga')?.argument;
  const ownVga = line.options.some(
    (o) => o.name === 'device' && VGA_DEVICES.has(o.params.find((p) => p.key === 'driver')?.value ?? ''),
  );
  const hasVga = vga === undefined ? !nodefaults && !ownVga : vga !== 'none';
  const net = line.options.filter((o) => o.name === 'net' || o.name === 'netdev' || o.name === 'nic');
  const cards = net.filter((o) => {
    const type = o.params.find((p) => p.key === 'type')?.value;
    return (o.name === 'nic' && type !== 'none') || (o.name === 'net' && type === 'nic');
  }).length;
  return (hasVga ? 1 : 0) + (net.length > 0 ? cards : nodefaults ? 0 : 1);
}

function ideBuses(count: number, units: number): Bus[] {
  return Array.from({ length: count }, (_, i) => ({
    ...newBus(`ide.${String(i)}`, 'IDE', units),
    counted: true,
  }));
}

/** Where the search for a bus begins, and all buses of the board. */
export function boardBuses(model: StorageModel): { roots: Bus[]; buses: Bus[] } {
  const { machine, line } = model;
  const roots: Bus[] = [];
  const buses: Bus[] = [];
  const isa = newBus('isa.0', 'ISA');
  const floppy = { ...newBus('floppy-bus.0', 'floppy-bus', 2), counted: true };
  if (machine.family === 'pc' || machine.family === 'q35') {
    const q35 = machine.family === 'q35';
    const pci: Bus = q35 ? newBus('pcie.0', 'PCI') : { ...newBus('pci.0', 'PCI'), counted: true };
    const own = q35 ? ['00.0', '1f.0', '1f.2', '1f.3'] : ['00.0', '01.0', '01.1', '01.3'];
    const usb =
      line.options.some((o) => o.name === 'usb' || o.name === 'usbdevice') ||
      readBool(valueAt(machine.tree, 'usb')) === true;
    if (usb) own.push(...(q35 ? ['1d.0', '1d.1', '1d.2', '1d.7'] : ['01.2']));
    for (const taken of own) pci.used.set(taken, 'board');
    const firstFree = q35 ? 1 : 2;
    for (let i = 0; i < defaultCards(line, machine.nodefaults); i++) {
      pci.used.set(`${(firstFree + i).toString(16).padStart(2, '0')}.0`, 'board');
    }
    const ide = ideBuses(machine.ide.buses, machine.ide.units);
    pci.below = [...ide.toReversed(), isa];
    if (usb) pci.below.unshift({ ...newBus('usb-bus.0', 'usb-bus'), counted: true });
    // q35 makes a floppy controller only for a drive that asks for one (`pc_superio_init`).
    const hasFloppy = !q35 || model.drives.some((d) => d.if === 'floppy');
    if (hasFloppy) isa.below = [floppy];
    roots.push(pci);
    buses.push(pci, ...pci.below, ...isa.below);
  } else if (machine.family === 'isapc') {
    isa.below = [...ideBuses(2, 2).toReversed(), floppy];
    roots.push(isa);
    buses.push(isa, ...isa.below);
  } else if (machine.family === 'microvm') {
    // The last of the 24 transports is the newest, and so the first to be taken.
    for (let i = 23; i >= 0; i--) roots.push(newBus(`virtio-mmio-bus.${String(i)}`, 'virtio-bus'));
    buses.push(...roots);
    if (readBool(valueAt(machine.tree, 'pcie')) === true) {
      const pcie = newBus('pcie.0', 'PCI');
      pcie.used.set('00.0', 'board');
      roots.push(pcie);
      buses.push(pcie);
    }
  }
  connectDrives(model, buses);
  return { roots, buses };
}

/** Drives that the board connects itself take their unit before any `-device` comes. */
function connectDrives(model: StorageModel, buses: Bus[]): void {
  for (const drive of model.drives) {
    if (drive.if !== 'ide' && drive.if !== 'floppy') continue;
    const name = drive.if === 'ide' ? `ide.${String(drive.bus)}` : 'floppy-bus.0';
    const channel = buses.find((b) => b.name === name);
    if (channel === undefined || channel.used.has(String(drive.unit))) continue;
    channel.used.set(String(drive.unit), 'board');
    channel.onBoard++;
  }
  const { machine, line } = model;
  const own = line.options.some(
    (o) =>
      o.name === 'device' &&
      /^(?:ide-cd|ide-hd|scsi-cd)$/.test(o.params.find((p) => p.key === 'driver')?.value ?? ''),
  );
  if (machine.nodefaults || own || machine.ide.buses === 0) return;
  const bus = Math.floor(2 / machine.ide.units);
  const channel = buses.find((b) => b.name === `ide.${String(bus)}`);
  const unit = String(2 % machine.ide.units);
  if (channel !== undefined && !channel.used.has(unit)) {
    channel.used.set(unit, 'board');
    channel.onBoard++;
  }
}

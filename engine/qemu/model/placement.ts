/**
 * Where every device sits: the bus it plugs into and its address there, in the order in which QEMU creates them.
 * Source: softmmu/qdev-monitor.c (`qbus_find_recursive`), hw/pci/pci.c (`do_pci_register_device`), hw/scsi/scsi-bus.c.
 */
import type { Param } from '../model.ts';
import { deviceParam, type Device } from './devices.ts';
import type { BusType } from './device-kinds.ts';
import { readNumber } from './values.ts';
import { boardBuses, newBus } from './board.ts';
import { bundledSchema } from '../schema/bundled.ts';
import { deviceSchema } from '../schema/schema.ts';
import type { Drive } from './drives.ts';
import type { StorageModel } from '../storage-model.ts';

export interface Bus {
  name: string;
  type: BusType;
  /** The `-device` that offers it; undefined for the board's own. */
  owner?: Device;
  /** The name was made up by counting, as for devices without an id. */
  counted?: boolean;
  /** Addresses in use, with who is there. */
  used: Map<string, PlacedDevice | 'board'>;
  /** Most devices that plug into it; a full bus is passed over when one is looked for. Only virtio-bus has it. */
  limit?: number;
  /** Units of an IDE or floppy channel. QEMU does not pass over a channel whose units are taken. */
  units?: number;
  /** Devices of the line that sit on it, oldest first. */
  plugged: PlacedDevice[];
  /** How many the board itself put there. */
  onBoard: number;
  /** The board's buses below it, in the order in which QEMU looks through them. */
  below: Bus[];
}

export interface PlacedDevice {
  device: Device;
  /** Undefined when there is none of that type or name. */
  bus?: Bus;
  /** The name in `bus=`, when one was given. */
  wantedBus?: string;
  /** A bus of that name exists, but of another type or without a free place. */
  refused?: Bus;
  /** PCI `05.0`, SCSI `0:1:0` (channel:id:lun), IDE unit. Undefined when it is not known. */
  address?: string;
  addressParam?: Param;
  /** The address was taken already by this one. */
  clash?: PlacedDevice | 'board';
  /** What it offers itself. */
  offers: Bus[];
}

/** The device of a drive that needs no `-device`: `if=ide`, `if=virtio`, `-hda`, `-cdrom`. */
export interface MadeDevice {
  drive: Drive;
  driver: 'ide-hd' | 'ide-cd' | 'virtio-blk-pci';
  /** Undefined when the machine has no such bus. */
  bus?: Bus;
  address?: string;
  /** Another drive has the address already. */
  clash?: MadeDevice;
}

export interface Placement {
  devices: PlacedDevice[];
  /** Drives' own devices: those of the board's IDE are there before any other, those of `if=virtio` come last. */
  made: MadeDevice[];
  /** Every bus, the board's first. */
  buses: Bus[];
}

const placements = new WeakMap<StorageModel, Placement>();

/** Places every device of the line; computed once for each model. */
export function placeDevices(model: StorageModel): Placement {
  const known = placements.get(model);
  if (known !== undefined) return known;
  const { roots, buses } = boardBuses(model);
  const devices: PlacedDevice[] = [];
  for (const device of model.devices) {
    const placed: PlacedDevice = { device, offers: [] };
    devices.push(placed);
    plug(placed, roots, buses, model);
    offer(placed, buses);
  }
  const placement = { devices, made: madeDevices(model, buses), buses };
  placements.set(model, placement);
  return placement;
}

/** Source: blockdev.c (`drive_new`), hw/ide/qdev.c (`ide_bus_create_drive`). */
function madeDevices(model: StorageModel, buses: readonly Bus[]): MadeDevice[] {
  const made: MadeDevice[] = [];
  const ide = new Map<string, MadeDevice>();
  for (const drive of model.drives) {
    if (drive.if !== 'ide') continue;
    const name = `ide.${String(drive.bus)}`;
    const place = `${name}:${String(drive.unit)}`;
    const device: MadeDevice = {
      drive,
      driver: drive.media === 'cdrom' ? 'ide-cd' : 'ide-hd',
      bus: buses.find((bus) => bus.owner === undefined && bus.name === name),
      address: String(drive.unit),
      clash: ide.get(place),
    };
    if (device.clash === undefined) ide.set(place, device);
    made.push(device);
  }
  const root = buses.find(({ name }) => name === model.machine.pciRoot);
  for (const drive of model.drives) {
    if (drive.if !== 'virtio') continue;
    const address = root === undefined ? undefined : freeSlot(root);
    if (address !== undefined) root?.used.set(address, 'board');
    made.push({ drive, driver: 'virtio-blk-pci', bus: root, address });
  }
  return made;
}

function plug(placed: PlacedDevice, roots: Bus[], buses: Bus[], model: StorageModel): void {
  const { device } = placed;
  const type = device.kind?.bus ?? otherPci(device, model);
  if (type === undefined || type === 'System') return;
  if (device.bus !== undefined) {
    placed.wantedBus = device.bus.value;
    const named = buses.find((b) => b.name === device.bus?.value);
    if (named?.type === type && !isFull(named)) placed.bus = named;
    else placed.refused = named;
  } else {
    placed.bus = search(roots, type);
  }
  if (placed.bus === undefined) return;
  placed.bus.plugged.push(placed);
  address(placed, placed.bus);
}

/** Devices that are none of storage's business take PCI slots as well. */
function otherPci(device: Device, model: StorageModel): BusType | undefined {
  const known = deviceSchema(bundledSchema, device.driver)?.bus;
  return known === 'PCI' && model.machine.pciRoot !== undefined ? 'PCI' : undefined;
}

/** `qbus_find_recursive`: depth first, the newest device and its newest bus first, full buses passed over. */
function search(buses: readonly Bus[], type: BusType): Bus | undefined {
  for (const b of buses) {
    if (b.type === type && !isFull(b)) return b;
    for (const placed of b.plugged.toReversed()) {
      const found = search(placed.offers.toReversed(), type);
      if (found !== undefined) return found;
    }
    const found = search(b.below, type);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether it is passed over when a bus is looked for (`max_dev`). */
export function isFull(b: Bus): boolean {
  return b.limit !== undefined && b.plugged.length + b.onBoard >= b.limit;
}

function take(placed: PlacedDevice, on: Bus, key: string): void {
  placed.address = key;
  const there = on.used.get(key);
  if (there === undefined) on.used.set(key, placed);
  else placed.clash = there;
}

function address(placed: PlacedDevice, on: Bus): void {
  switch (on.type) {
    case 'PCI':
      pciAddress(placed, on);
      break;
    case 'SCSI':
      scsiAddress(placed, on);
      break;
    case 'IDE':
    case 'floppy-bus': {
      const unit = deviceParam(placed.device, 'unit');
      const wanted = readNumber(unit?.value);
      if (unit !== undefined) placed.addressParam = unit;
      let free = 0;
      while (on.used.has(String(free))) free++;
      // An IDE disk without a unit is the slave whenever there is a master (`ide_dev_initfn`).
      if (on.type === 'IDE') free = Math.min(free, 1);
      take(placed, on, String(wanted !== undefined && wanted >= 0 ? wanted : free));
      break;
    }
    default:
  }
}

/** `addr=` of a PCI device (`set_pci_devfn`): slot or slot.function, hexadecimal. */
export function parsePciAddress(value: string): { slot: number; fn: number } | undefined {
  const match = /^(?:0x)?([0-9a-fA-F]{1,2})(?:\.(?:0x)?([0-9a-fA-F]))?$/.exec(value);
  if (match === null) return undefined;
  const slot = Number.parseInt(match[1], 16);
  const fn = Number.parseInt(match[2] ?? '0', 16);
  return slot > 31 || fn > 7 ? undefined : { slot, fn };
}

/** `05.0`, as lspci writes it. */
export function pciKey(slot: number, fn: number): string {
  return `${slot.toString(16).padStart(2, '0')}.${String(fn)}`;
}

function pciAddress(placed: PlacedDevice, on: Bus): void {
  const param = deviceParam(placed.device, 'addr');
  if (param !== undefined) {
    placed.addressParam = param;
    const at = parsePciAddress(param.value);
    if (at !== undefined) take(placed, on, pciKey(at.slot, at.fn));
    return;
  }
  const free = freeSlot(on);
  if (free !== undefined) take(placed, on, free);
}

/** The first slot whose function 0 is free. On a board's own bus QEMU starts behind slot 0, which is always taken. */
function freeSlot({ used }: Bus): string | undefined {
  for (let slot = 0; slot < 32; slot++) if (!used.has(pciKey(slot, 0))) return pciKey(slot, 0);
  return undefined;
}

function scsiAddress(placed: PlacedDevice, on: Bus): void {
  const { device } = placed;
  const lunParam = deviceParam(device, 'lun');
  const idParam = deviceParam(device, 'scsi-id');
  const channel = readNumber(deviceParam(device, 'channel')?.value) ?? 0;
  placed.addressParam = idParam ?? lunParam;
  let id = readNumber(idParam?.value);
  let lun = readNumber(lunParam?.value);
  if (id !== undefined && id < 0) id = undefined;
  if (lun !== undefined && lun < 0) lun = undefined;
  const key = (i: number, l: number): string => `${String(channel)}:${String(i)}:${String(l)}`;
  // scsi_bus_check_address: an id without a lun takes the first free lun, no id takes the first free id.
  if (id === undefined) {
    id = 0;
    while (on.used.has(key(id, lun ?? 0)) && id < 255) id++;
    lun ??= 0;
  } else if (lun === undefined) {
    lun = 0;
    while (on.used.has(key(id, lun)) && lun < 255) lun++;
  }
  take(placed, on, key(id, lun ?? 0));
}

/** The buses that a device offers once it is there: `<id>.0`, or a counted name when it has no id. */
function offer(placed: PlacedDevice, buses: Bus[]): void {
  const { device } = placed;
  const offers = device.kind?.offers;
  if (offers === undefined) return;
  for (let i = 0; i < offers.count; i++) {
    // The bus of a bridge (hw/pci/pci_bridge.c) or an nvme controller bears the device's own id, all others `<id>.<n>`.
    const own = offers.type === 'nvme-bus' || (device.kind?.role === 'bridge' && offers.type === 'PCI');
    const units =
      offers.type === 'IDE'
        ? device.kind?.family === 'ahci'
          ? 1
          : 2
        : offers.type === 'floppy-bus'
          ? 2
          : undefined;
    const made: Bus =
      device.id === undefined
        ? { ...newBus(countedName(device, offers.type, buses), offers.type, units), counted: true }
        : newBus(own ? device.id : `${device.id}.${String(i)}`, offers.type, units);
    made.owner = device;
    placed.offers.push(made);
    buses.push(made);
  }
}

const PREFIX: Partial<Record<BusType, string>> = { SCSI: 'scsi', IDE: 'ide', PCI: 'pci' };

/** `<class>.<n>`, counted for each class over the buses without a name of their own (`qbus_init_internal`). */
function countedName(device: Device, type: BusType, buses: Bus[]): string {
  const express = /^(?:pcie-root-port|ioh3420|x3130-upstream|xio3130-downstream|pxb-pcie)$/.test(
    device.canonical,
  );
  const prefix = express ? 'pcie' : (PREFIX[type] ?? type);
  const counted = buses.filter((b) => b.counted === true && b.name.startsWith(`${prefix}.`));
  return `${prefix}.${String(counted.length)}`;
}

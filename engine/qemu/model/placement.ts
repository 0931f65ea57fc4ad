/**
 * Where every device sits: the bus it plugs into and its address there, in the order in which QEMU creates them.
 * Source: softmmu/qdev-monitor.c (`qbus_find_recursive`), hw/pci/pci.c (`do_pci_register_device`), hw/scsi/scsi-bus.c.
 */
import type { Param } from '../model.ts';
import { deviceParam, type Device } from './devices.ts';
import type { BusType } from './device-kinds.ts';
import { readNumber } from './values.ts';
import type { StorageModel } from '../storage-model.ts';

export interface Bus {
  name: string;
  type: BusType;
  /** The `-device` that offers it; undefined for the board's own. */
  owner?: Device;
  /** Addresses in use, with who is there. */
  used: Map<string, PlacedDevice | 'board'>;
  /** Most devices that plug into it, when there is a limit. */
  limit?: number;
  /** How many devices sit on it. */
  count: number;
}

export interface PlacedDevice {
  device: Device;
  /** Undefined when there is none of that type or name. */
  bus?: Bus;
  /** The name in `bus=`, when one was given. */
  wantedBus?: string;
  /** PCI `05.0`, SCSI `0:1:0` (channel:id:lun), IDE unit. Undefined when it is not known. */
  address?: string;
  addressParam?: Param;
  /** The address was taken already by this one. */
  clash?: PlacedDevice | 'board';
}

export interface Placement {
  devices: PlacedDevice[];
  buses: Bus[];
}

const placements = new WeakMap<StorageModel, Placement>();

/** Places every device of the line; computed once for each model. */
export function placeDevices(model: StorageModel): Placement {
  const known = placements.get(model);
  if (known !== undefined) return known;
  const buses = boardBuses(model);
  const devices: PlacedDevice[] = [];
  for (const device of model.devices) {
    const placed: PlacedDevice = { device };
    devices.push(placed);
    plug(placed, buses);
    offer(device, buses);
  }
  const placement = { devices, buses };
  placements.set(model, placement);
  return placement;
}

function bus(name: string, type: BusType, owner?: Device, limit?: number): Bus {
  return {
    name,
    type,
    used: new Map(),
    count: 0,
    ...(owner === undefined ? {} : { owner }),
    ...(limit === undefined ? {} : { limit }),
  };
}

/** What the board brings along, with the addresses that its own devices take. */
function boardBuses(model: StorageModel): Bus[] {
  const { machine } = model;
  const buses: Bus[] = [];
  if (machine.family === 'pc') {
    const pci = bus('pci.0', 'PCI');
    for (const taken of ['00.0', '01.0', '01.1', '01.3']) pci.used.set(taken, 'board');
    buses.push(
      pci,
      bus('isa.0', 'ISA'),
      bus('ide.0', 'IDE', undefined, 2),
      bus('ide.1', 'IDE', undefined, 2),
    );
    buses.push(bus('floppy-bus.0', 'floppy-bus', undefined, 2));
  } else if (machine.family === 'q35') {
    const pcie = bus('pcie.0', 'PCI');
    for (const taken of ['00.0', '1f.0', '1f.2', '1f.3']) pcie.used.set(taken, 'board');
    buses.push(pcie, bus('isa.0', 'ISA'));
    for (let i = 0; i < 6; i++) buses.push(bus(`ide.${String(i)}`, 'IDE', undefined, 1));
  } else if (machine.family === 'isapc') {
    buses.push(bus('isa.0', 'ISA'), bus('ide.0', 'IDE', undefined, 2), bus('ide.1', 'IDE', undefined, 2));
  } else if (machine.family === 'microvm') {
    for (let i = 0; i < 8; i++) buses.push(bus(`virtio-mmio-bus.${String(i)}`, 'virtio-bus', undefined, 1));
  }
  for (const drive of model.drives) {
    if (drive.if !== 'ide') continue;
    const channel = buses.find((b) => b.name === `ide.${String(drive.bus)}`);
    if (channel !== undefined && !channel.used.has(String(drive.unit))) {
      channel.used.set(String(drive.unit), 'board');
      channel.count++;
    }
  }
  return buses;
}

function plug(placed: PlacedDevice, buses: Bus[]): void {
  const { device } = placed;
  const type = device.kind?.bus;
  if (type === undefined || type === 'System') return;
  if (device.bus !== undefined) {
    placed.wantedBus = device.bus.value;
    // A device's id stands for its first bus only in paths (`/…`); a bare name must be a bus.
    placed.bus = buses.find((b) => b.name === device.bus?.value && b.type === type);
  } else {
    placed.bus = buses.find((b) => b.type === type && !isFull(b));
  }
  if (placed.bus === undefined) return;
  placed.bus.count++;
  address(placed, placed.bus);
}

/** The full ones are passed over when a bus is looked for (`max_dev`). PCI and SCSI buses are never full for that. */
export function isFull(b: Bus): boolean {
  return b.limit !== undefined && b.count >= b.limit;
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
      take(placed, on, String(wanted !== undefined && wanted >= 0 ? wanted : free));
      break;
    }
    default:
  }
}

/** `addr=` of a PCI device (`set_pci_devfn`): slot or slot.function, hexadecimal. */
export function parsePciAddress(value: string): { slot: number; fn: number } | undefined {
  const match = /^(?:0x)?([0-9a-fA-F]{1,2})(?:\.([0-9a-fA-F]))?$/.exec(value);
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
  // The first slot whose function 0 is free. On a board's own bus QEMU starts behind slot 0, which is always taken.
  for (let slot = 0; slot < 32; slot++) {
    if (on.used.has(pciKey(slot, 0))) continue;
    take(placed, on, pciKey(slot, 0));
    return;
  }
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

/** The buses that a device offers once it is there: `<id>.0`, or the driver's default name when it has no id. */
function offer(device: Device, buses: Bus[]): void {
  const offers = device.kind?.offers;
  if (offers === undefined) return;
  for (let i = 0; i < offers.count; i++) {
    // A bridge's bus bears the bridge's own id (hw/pci/pci_bridge.c), all others `<id>.<n>`.
    const bridge = device.kind?.role === 'bridge' && offers.type === 'PCI';
    const limit = offers.type === 'IDE' ? (device.kind?.family === 'ahci' ? 1 : 2) : undefined;
    const name =
      device.id === undefined
        ? autoName(offers.type, buses)
        : bridge
          ? device.id
          : `${device.id}.${String(i)}`;
    buses.push(bus(name, offers.type, device, limit));
  }
}

const PREFIX: Partial<Record<BusType, string>> = {
  SCSI: 'scsi',
  IDE: 'ide',
  'usb-bus': 'usb-bus',
  PCI: 'pci',
};

/** `<type>.<n>` with a number counted per type (`qbus_init_internal`). */
function autoName(type: BusType, buses: Bus[]): string {
  const prefix = PREFIX[type] ?? type.toLowerCase();
  return `${prefix}.${String(buses.filter((b) => b.type === type && /\.\d+$/.test(b.name)).length)}`;
}

/** Overviews: which addresses of each bus are taken, and in which order the firmware tries the disks. */
import type { CommandLine, Span } from './model.ts';
import { deviceParam } from './model/devices.ts';
import { placeDevices, type Bus, type MadeDevice } from './model/placement.ts';
import { readNumber } from './model/values.ts';
import { storageModel } from './storage-model.ts';

export interface BusMap {
  bus: string;
  type: Bus['type'];
  /** Taken addresses in order; `device` is missing where the board itself sits. */
  taken: { address: string; device?: string; driver?: string; span?: Span }[];
  /** PCI slots without any function in use, as `addr=` wants them. */
  free: string[];
}

const SLOTS = 32;

/** Every bus that devices of the line sit on, and the board's PCI bus. */
export function addressMap(line: CommandLine): BusMap[] {
  const { buses, made } = placeDevices(storageModel(line));
  return buses
    .filter((b) => b.plugged.length > 0 || (b.type === 'PCI' && b.owner === undefined))
    .map((b) => ({
      bus: b.name,
      type: b.type,
      taken: takenOn(b, made),
      free: b.type === 'PCI' ? freeSlots(b) : [],
    }));
}

function takenOn(bus: Bus, made: readonly MadeDevice[]): BusMap['taken'] {
  const ofDrive = (address: string): BusMap['taken'][number] => {
    const found = made.find((each) => each.bus === bus && each.address === address);
    if (found === undefined) return { address };
    return { address, device: found.drive.id, driver: found.driver, span: found.drive.span };
  };
  return [...bus.used]
    .sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))
    .map(([address, who]) =>
      who === 'board'
        ? ofDrive(address)
        : {
            address,
            device: who.device.id ?? who.device.driver,
            driver: who.device.driver,
            span: who.device.span,
          },
    );
}

function freeSlots(bus: Bus): string[] {
  const slots = new Set([...bus.used.keys()].map((address) => Number.parseInt(address.slice(0, 2), 16)));
  return Array.from({ length: SLOTS }, (_, slot) => slot)
    .filter((slot) => !slots.has(slot))
    .map((slot) => `0x${slot.toString(16)}`);
}

export interface BootEntry {
  /** Place in the order, from 1. */
  place: number;
  device: string;
  /** `bootindex`, or the letter of `-boot order=`. */
  by: string;
  span: Span;
}

const LETTERS: Readonly<Partial<Record<string, string>>> = {
  a: 'floppy',
  b: 'floppy',
  c: 'disk',
  d: 'cdrom',
  n: 'network',
};

/** The order in which the firmware tries: devices with a bootindex, lowest first, then the letters of `-boot`. */
export function bootOrder(line: CommandLine): BootEntry[] {
  const model = storageModel(line);
  const indexed = model.devices
    .map((device) => ({ device, param: deviceParam(device, 'bootindex') }))
    .map(({ device, param }) => ({ device, param, index: readNumber(param?.value) ?? -1 }))
    .filter(({ index }) => index >= 0)
    .sort((a, b) => a.index - b.index);
  const entries: Omit<BootEntry, 'place'>[] = indexed.map(({ device, param, index }) => ({
    device: device.id ?? device.driver,
    by: `bootindex=${String(index)}`,
    span: param?.span ?? device.span,
  }));
  const order = model.machine.boot?.params.find((p) => p.key === 'order');
  if (order !== undefined) {
    for (const letter of order.value)
      entries.push({ device: LETTERS[letter] ?? letter, by: letter, span: order.span });
  }
  return entries.map((entry, i) => ({ place: i + 1, ...entry }));
}

/**
 * Where the devices of a line lie, in the laboratory's words. It is QEMU's own order of things that decides
 * (engine/qemu/model/placement.ts); what is refused here QEMU refuses as well.
 */
import { PlatterError } from '../errors.ts';
import type { CommandLine, Option } from '../qemu/model.ts';
import {
  parsePciAddress,
  placeDevices,
  type Bus,
  type MadeDevice,
  type PlacedDevice,
} from '../qemu/model/placement.ts';
import type { Device } from '../qemu/model/devices.ts';
import { storageModel } from '../qemu/storage-model.ts';
import { MAX_TARGET } from '../scsi/bus.ts';
import { MAX_LUN } from '../scsi/target.ts';

/** On a SCSI bus. */
export interface ScsiPlace {
  target: number;
  lun: number;
}
/** On an IDE controller: the channel (or the port of an AHCI controller), and master or slave. */
export interface IdePlace {
  bus: number;
  unit: number;
}

/** Places that QEMU counts on every bus of IDE, on the single-unit ones of AHCI too (hw/ide/core.c, `ide_init2`). */
const COUNTED_UNITS = 2;

/** A device with its place: one of a `-device`, or one that a drive makes by itself. */
export type Placed = PlacedDevice | MadeDevice;

/** Place on the line of what the machine brings along itself. */
export const NO_OPTION = -1;

/** The places of one line's devices. */
export class LinePlaces {
  /** What drives make by themselves. */
  readonly made: readonly MadeDevice[];
  readonly #placed: ReadonlyMap<Option, PlacedDevice>;
  readonly #ideNumbers = new Map<Option | undefined, number>();
  /** By channel: who answers at the ports of the PC of old. Every PIIX maps them, and the newest lies on top. */
  readonly #legacy = new Map<number, Bus>();

  constructor(line: CommandLine) {
    const { devices, made, buses } = placeDevices(storageModel(line));
    this.made = made;
    this.#placed = new Map(devices.map((placed) => [placed.device.option, placed]));
    let places = 0;
    for (const bus of buses) {
      if (bus.type !== 'IDE') continue;
      const { owner } = bus;
      if (!this.#ideNumbers.has(owner?.option)) this.#ideNumbers.set(owner?.option, places + 1);
      places += COUNTED_UNITS;
      if (bus.units === COUNTED_UNITS) this.#legacy.set(this.ownerOf(bus).bus, bus);
    }
  }

  /** Throws `lab.ports-taken` when another controller answers at the ports of the disk's channel. */
  checkPorts({ bus }: Placed, label: string): void {
    if (bus?.units !== COUNTED_UNITS) return;
    const top = this.#legacy.get(this.ownerOf(bus).bus);
    if (top === undefined || top === bus) return;
    const who = top.owner === undefined ? 'the machine' : nameOfDevice(top.owner);
    throw new PlatterError(
      'lab.ports-taken',
      `${label}: the ports of ${bus.name} are those of ${who} too, which came later: no guest can reach the disk`,
      { option: 'bus', value: label, field: bus.name, expected: who },
    );
  }

  /** The device of a `-device`. */
  of(option: Option): PlacedDevice | undefined {
    return this.#placed.get(option);
  }

  /** What offers the bus, and which of its buses it is: an IDE channel, a port of AHCI. `controller` is undefined for the machine's own. */
  ownerOf(bus: Bus): { controller: Option | undefined; bus: number } {
    const owner = bus.owner === undefined ? undefined : this.of(bus.owner.option);
    return owner === undefined
      ? { controller: undefined, bus: Number(/\.(\d+)$/.exec(bus.name)?.[1] ?? 0) }
      : { controller: owner.device.option, bus: owner.offers.indexOf(bus) };
  }

  /**
   * The number of the first place of an IDE controller among all of the machine, from 1: by it QEMU counts the serials of drives that
   * have none. `controller` undefined: the machine's own.
   */
  firstIdeNumber(controller: Option | undefined): number {
    return this.#ideNumbers.get(controller) ?? 1;
  }
}

/**
 * The slot of a PCI function, undefined for anything else. Throws `machine.slot-taken` when QEMU finds somebody else there,
 * `lab.bad-value` for an address that is none, or of another function than the first: a guest would not look for it.
 */
export function slotOf(placed: Placed | undefined, label: string): number | undefined {
  if (placed?.bus?.type !== 'PCI') return undefined;
  const { slot, fn } = parsePciAddress(placed.address ?? '') ?? { slot: undefined, fn: 0 };
  const addr = 'addressParam' in placed ? placed.addressParam?.value : undefined;
  if (addr !== undefined && (slot === undefined || fn !== 0)) {
    throw new PlatterError(
      'lab.bad-value',
      `${label}: addr=${addr}: expected a slot from 0x0 to 0x1f, function 0`,
      { option: 'addr', value: addr, expected: '0x0–0x1f' },
    );
  }
  if (placed.clash === undefined) return slot;
  throw new PlatterError(
    'machine.slot-taken',
    `${label}: PCI: slot ${slot ?? 0} function 0 not available, in use by ${nameOf(placed.clash)}`,
    { option: 'addr', value: `0x${(slot ?? 0).toString(16)}` },
  );
}

/** The number of the virtio-mmio transport that it sits on; undefined when the machine has none for it. */
export function mmioTransport(placed: Placed | undefined): number | undefined {
  const number = /^virtio-mmio-bus\.(\d+)$/.exec(placed?.bus?.name ?? '')?.[1];
  return number === undefined ? undefined : Number(number);
}

/** Throws `lab.bad-value`, `lab.place-taken`. */
export function scsiPlace(placed: Placed, label: string): ScsiPlace {
  const [channel = 0, target = 0, lun = 0] = (placed.address ?? '').split(':').map(Number);
  for (const [option, value, most] of [
    ['channel', channel, 0],
    ['scsi-id', target, MAX_TARGET],
    ['lun', lun, MAX_LUN],
  ] as const) {
    if (value <= most) continue;
    throw new PlatterError('lab.bad-value', `${label}: ${option}=${value}: expected 0 to ${most}`, {
      option,
      value: String(value),
      expected: `0–${most}`,
    });
  }
  const value = `scsi-id=${target},lun=${lun}`;
  if (placed.clash !== undefined) {
    const holder = nameOf(placed.clash);
    throw taken(`${label}: ${value}: lun already used by '${holder}'`, 'lun', label, value, holder);
  }
  return { target, lun };
}

/** Throws `lab.place-taken`, `lab.no-place`. `made`: the devices of drives, which take their places first. */
export function idePlace(placed: Placed, bus: number, label: string, made: readonly MadeDevice[]): IdePlace {
  const unit = Number(placed.address ?? 0);
  const units = placed.bus?.units ?? COUNTED_UNITS;
  if (unit >= units) {
    throw new PlatterError(
      'lab.no-place',
      `${label}: Can't create IDE unit ${unit}, bus supports only ${units} units`,
      { option: 'unit', value: label, expected: String(units), field: String(unit) },
    );
  }
  if (placed.clash !== undefined) {
    const there = made.find((each) => each.bus === placed.bus && each.address === placed.address);
    const holder = nameOf(placed.clash === 'board' ? (there ?? 'board') : placed.clash);
    throw taken(`${label}: IDE unit ${unit} is in use`, 'unit', label, `unit=${unit}`, holder);
  }
  return { bus, unit };
}

/** As messages call it. */
function nameOf(who: Placed | 'board'): string {
  if (who === 'board') return 'the machine';
  if ('drive' in who) return `${who.driver} ${who.drive.id}`;
  return nameOfDevice(who.device);
}

function nameOfDevice({ driver, id }: Device): string {
  return id === undefined ? driver : `${driver} ${id}`;
}

function taken(message: string, option: string, value: string, field: string, holder: string): PlatterError {
  return new PlatterError('lab.place-taken', message, { option, value, field, expected: holder });
}

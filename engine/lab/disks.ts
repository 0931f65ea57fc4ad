/** Which disks of a command line the laboratory can run, why not the others, and which of them are to be run. */
import { PlatterError } from '../errors.ts';
import type { CommandLine, Option } from '../qemu/model.ts';
import {
  canRun,
  describe,
  factsOf,
  implicitDevices,
  placeDisk,
  type DrivableDevice,
  type Facts,
} from './drivable.ts';
import { DRIVABLE, machineKind } from './machines/index.ts';
import { param } from './properties.ts';

/** QEMU's name of what has to be built for the device: its controller, or itself. */
export function buildsAs({ driver, controller }: DrivableDevice): string {
  return controller?.driver ?? driver;
}

/** Which option makes what has to be built: disks that have it in common lie on one controller. */
export function builtBy({ controller, option }: DrivableDevice): number {
  return controller?.option ?? option;
}

/** One disk of the line: what it is, or why it cannot be run. */
export interface LineDisk {
  /** QEMU's name of it: `scsi-hd`. */
  driver: string;
  /** `id=`, or the empty string. */
  id: string;
  /** What messages and the screen call it. */
  label: string;
  /** The value of `drive=`; undefined when there is none. */
  drive: string | undefined;
  device?: DrivableDevice;
  error?: PlatterError;
}

/**
 * All disks of the line: those of `-device` in their order, then those that drives make by themselves. Each is placed on its controller as
 * QEMU would place it.
 */
export function lineDisks(line: CommandLine): LineDisk[] {
  const facts = factsOf(line);
  const explicit = facts.disks.map((option) => diskOf(option, line, facts));
  const implicit = implicitDevices(line, facts).map((device): LineDisk => ({ ...device, device }));
  const disks = [...explicit, ...implicit];
  for (const disk of disks) refuseIf(disk, (device) => place(device, facts));
  // A drive that lacks if=none is meant for the -device that names it.
  const drives = new Map<string, string>();
  for (const disk of disks) refuseIf(disk, (device) => takeDrive(device, drives));
  return disks;
}

function diskOf(option: Option, line: CommandLine, facts: Facts): LineDisk {
  const driver = param(option, 'driver') ?? '';
  const id = param(option, 'id') ?? '';
  const named = { driver, id, label: id === '' ? driver : `${driver} ${id}`, drive: param(option, 'drive') };
  try {
    const device = describe(option, line, facts);
    return { ...named, label: device.label, drive: device.drive, device };
  } catch (error) {
    if (error instanceof PlatterError) return { ...named, error };
    throw error;
  }
}

/** Keeps why the disk cannot be run, if that is what `check` throws. */
function refuseIf(disk: LineDisk, check: (device: DrivableDevice) => void): void {
  if (disk.device === undefined || disk.error !== undefined) return;
  try {
    check(disk.device);
  } catch (error) {
    if (!(error instanceof PlatterError)) throw error;
    disk.error = error;
  }
}

function place(device: DrivableDevice, facts: Facts): void {
  placeDisk(device, facts);
  runnable(device);
}

function takeDrive(device: DrivableDevice, drives: Map<string, string>): void {
  const other = drives.get(device.drive);
  if (other !== undefined) throw inUse(device, other);
  drives.set(device.drive, device.label);
}

function inUse({ drive, label }: DrivableDevice, other: string): PlatterError {
  return new PlatterError(
    'lab.drive-in-use',
    `${label}: Drive '${drive}' is already in use by another device (${other})`,
    { option: 'drive', value: drive, field: label, expected: other },
  );
}

/** Throws `lab.not-drivable`. */
function runnable(device: DrivableDevice): DrivableDevice {
  const name = buildsAs(device);
  if (machineKind(name) !== undefined) return device;
  const expected = DRIVABLE.join(', ');
  throw new PlatterError('lab.not-drivable', `the lab cannot run ${name} yet; it runs ${expected}`, {
    option: 'device',
    value: name,
    expected,
  });
}

function usable({ device, error, label }: LineDisk): DrivableDevice {
  if (error !== undefined) throw error;
  if (device !== undefined) return device;
  throw new PlatterError('lab.not-drivable', `the lab cannot run ${label}`, {
    option: 'device',
    value: label,
  });
}

/**
 * The device to work on. Throws `lab.no-device` (none is a disk), `lab.unknown-device` (no such id), `lab.not-drivable` (a disk
 * that the laboratory cannot run yet), `lab.no-controller`, and what its options are refused for.
 */
export function drivableDevice(line: CommandLine, deviceId?: string): DrivableDevice {
  const disks = lineDisks(line);
  const found = deviceId === undefined ? firstDisk(line, disks) : disks.find(({ id }) => id === deviceId);
  if (found !== undefined) return usable(found);
  if (deviceId === undefined) {
    throw new PlatterError(
      'lab.no-device',
      'the command line has no disk device; add -device virtio-blk-pci,drive=… and a -drive',
      { option: 'device' },
    );
  }
  // Something else than a disk: what is missing for one is said.
  const other = line.options.find(
    (option) => option.name === 'device' && param(option, 'id') === deviceId && option.params.length > 0,
  );
  if (other !== undefined) return runnable(describe(other, line, factsOf(line)));
  throw unknown(deviceId);
}

function unknown(value: string): PlatterError {
  return new PlatterError('lab.unknown-device', `no -device has id=${value}`, { option: 'id', value });
}

/** The first disk of a `-device` that can be run, or else the first; then those that drives make. */
function firstDisk(line: CommandLine, disks: readonly LineDisk[]): LineDisk | undefined {
  const facts = factsOf(line);
  const at = facts.disks.findIndex((option) => canRun(line, option, facts));
  return disks[Math.max(0, at)];
}

/**
 * The devices to work on: those with these drives or ids, or the one of `drivableDevice` when no disks are named. Throws what that
 * throws, `lab.drive-in-use`, `lab.place-taken`, `lab.no-place`.
 */
export function chosenDevices(
  line: CommandLine,
  names: readonly string[] | undefined,
  deviceId?: string,
): DrivableDevice[] {
  if (names === undefined || names.length === 0) return [drivableDevice(line, deviceId)];
  const disks = lineDisks(line);
  const chosen = names.map((name) => {
    const disk = disks.find(({ drive }) => drive === name) ?? disks.find(({ id }) => id === name);
    if (disk === undefined) throw unknown(name);
    return usable(disk);
  });
  return [...new Set(chosen)];
}

/** The disks of a command line: what each sits behind and where, and what its options say. Which of them are run is disks.ts's business. */
import { PlatterError } from '../errors.ts';
import { ON_ERROR, type OnError, type OnErrors } from '../block/on-error.ts';
import type { AioMode } from '../machine/host-io.ts';
import type { CommandLine, Option } from '../qemu/model.ts';
import { bridgesTo, type BridgeOnTheWay } from './bridges.ts';
import { defaultBus, mmioTransport, NO_OPTION } from './default-bus.ts';
import { machineKind } from './machines/index.ts';
import { Places, type IdePlace, type ScsiPlace } from './places.ts';
import { param, Properties } from './properties.ts';
import { isVhost, isVhostScsi, vhostDrive } from './vhost.ts';

/** Front ends for disks that it knows and cannot all run. */
const KNOWN_DISKS =
  /^(virtio-(blk|scsi)|vhost-(scsi|user-(blk|scsi))|scsi-(hd|cd|block|generic)|ide-(hd|cd|drive)|ahci|ich9-ahci|nvme|nvme-ns|usb-storage|floppy|sd-card|lsi53c895a|megasas|pvscsi|mptsas1068)/;
/** Controllers, which have no `drive=` of their own: what runs is a disk on one of them. */
const CONTROLLERS = /^(virtio-scsi|ahci$|ich9-ahci$|piix[34]-ide$)/;
const SCSI_CONTROLLERS = /^(virtio-scsi|lsi53c|megasas|pvscsi|mptsas|am53c974|dc390)/;
const IDE_CONTROLLERS = /^(ahci|ich9-ahci|piix[34]-ide)/;

/** What a disk is plugged into when that is not PCI itself. */
export interface Controller {
  /** QEMU's name: `virtio-scsi-pci`, `piix3-ide`. */
  driver: string;
  /** `id=`, or the empty string; the machine's own IDE controller has none. */
  id: string;
  slot?: number;
  properties: Properties;
  /** The bridges between the root bus and it, outermost first. */
  bridges: BridgeOnTheWay[];
  /** The virtio-mmio transport that it sits on, when it is no PCI function. */
  mmioTransport?: number;
  /** Bus number after the dot of `bus=ID.N` (an IDE channel or an AHCI port); 0 when there is none. */
  bus: number;
  /** Which option of the line makes it; -1 for the machine's own. */
  option: number;
}

export interface DrivableDevice {
  /** QEMU's name of the disk: `virtio-blk-pci`, `scsi-hd`, `ide-hd`. */
  driver: string;
  /** `id=`, or the empty string. */
  id: string;
  /** What messages and the screen call it: `virtio-blk-pci virtio-disk1`. */
  label: string;
  /** The value of `drive=`, or the id of the drive that makes its own device. */
  drive: string;
  /** Which option of the line makes it; those that a drive makes by itself come behind all options. */
  option: number;
  /** Where it lies on its controller, as QEMU places it beside all others of the line. */
  scsi?: ScsiPlace;
  ide?: IdePlace;
  /** The virtio-mmio transport that it sits on itself. */
  mmioTransport?: number;
  /** PCI slot of `addr=`, when it is given. */
  slot?: number;
  /** The bridges between the root bus and its PCI function (or its controller's), outermost first. */
  bridges: BridgeOnTheWay[];
  /** The device's option; all defaults when it has none. */
  properties: Properties;
  /** What the disk sits behind; undefined when it is itself a PCI function. */
  controller?: Controller;
  /** `-smp`. */
  cpus: number;
  aio: AioMode;
  readOnly: boolean;
  /** `discard=unmap` (or `on`) of the drive. */
  unmap: boolean;
  /** `rerror=` and `werror=` of the device, or else of its drive. */
  onErrors: OnErrors;
  /** The machine is a q35, whose PCI pins have lines of their own; else a `pc`. */
  q35: boolean;
  /** `-append`: the guest kernel's own options. */
  kernelOptions: string;
  /** Version of the virtio-mmio transports: 1 unless `-global virtio-mmio.force-legacy=off`. */
  mmioVersion: 1 | 2;
}

/** The number of virtual CPUs: `-smp N` or `-smp cpus=N`. */
export function cpuCount(line: CommandLine): number {
  const smp = line.options.findLast(({ name }) => name === 'smp');
  const first = smp?.argument?.split(',')[0] ?? '1';
  const cpus = Number(param(smp, 'cpus') ?? first);
  return Number.isInteger(cpus) && cpus > 0 && cpus <= 255 ? cpus : 1;
}

/** Whether the machine is a q35, whose own IDE is AHCI; the default is QEMU's `pc`. */
export function isQ35(line: CommandLine): boolean {
  const machine = line.options.findLast(({ name }) => name === 'machine' || name === 'M');
  const type = param(machine, 'type') ?? machine?.argument?.split(',')[0] ?? '';
  return type.includes('q35');
}

/** What `-append` tells the guest's kernel. */
function kernelOptions(line: CommandLine): string {
  return line.options.findLast(({ name }) => name === 'append')?.argument ?? '';
}

function mmioVersion(line: CommandLine): 1 | 2 {
  const text = line.options.findLast(
    ({ name, argument }) => name === 'global' && argument?.startsWith('virtio-mmio.force-legacy=') === true,
  )?.argument;
  return text !== undefined && /=(off|no|false|n)$/.test(text) ? 2 : 1;
}

/** What becomes of errors of the host. Throws `lab.bad-value`. */
function onErrors(device: Option | undefined, back: Option | undefined): OnErrors {
  const policy = (key: keyof OnErrors): OnError => {
    const text = param(device, key) ?? param(back, key) ?? 'auto';
    const known = ON_ERROR.find((each) => each === text);
    if (known !== undefined) return known;
    const expected = ON_ERROR.join(', ');
    throw new PlatterError('lab.bad-value', `${key}=${text}: expected one of ${expected}`, {
      option: key,
      value: text,
      expected,
    });
  };
  return { rerror: policy('rerror'), werror: policy('werror') };
}

/** What the back end says of the way to the host. */
function hostSide(option: Option | undefined): Pick<DrivableDevice, 'aio' | 'readOnly' | 'unmap'> {
  const back = new Properties(option);
  const aio = back.text('aio') ?? back.text('file.aio');
  const discard = back.text('discard');
  return {
    aio: aio === 'io_uring' || aio === 'native' ? aio : 'threads',
    readOnly: back.on('readonly', back.on('read-only', false)),
    unmap: discard === 'unmap' || discard === 'on',
  };
}

/** The machine's own IDE controller. */
function boardController(line: CommandLine, bus: number): Controller {
  const driver = isQ35(line) ? 'ich9-ahci' : 'piix3-ide';
  return { driver, id: '', properties: new Properties(undefined), bridges: [], bus, option: NO_OPTION };
}

/** The controller that a disk with `bus=` (or none) sits on; undefined for a PCI function. */
function controllerOf(line: CommandLine, disk: Option, facts: Facts): Controller | undefined {
  const driver = param(disk, 'driver') ?? '';
  const scsi = driver.startsWith('scsi-');
  if (!scsi && !driver.startsWith('ide-')) return undefined;
  const [, id, number] = /^(.*?)(?:\.(\d+))?$/.exec(param(disk, 'bus') ?? '') ?? ['', '', undefined];
  const candidates = scsi ? facts.scsi : facts.ide;
  const unnamed = id === '' ? defaultBus(line, disk) : undefined;
  const found = candidates.find(({ option }) =>
    id === '' ? option === unnamed?.controller : param(option, 'id') === id,
  );
  const bus = unnamed?.bus ?? Number(number ?? 0);
  if (found === undefined) {
    if (!scsi && (id === '' || id === 'ide')) return boardController(line, bus);
    throw new PlatterError(
      'lab.no-controller',
      `${driver}: no controller${id === '' ? '' : ` with id=${id}`} on the command line has a bus for it`,
      { option: 'bus', value: param(disk, 'bus') ?? driver },
    );
  }
  const { option, at } = found;
  const properties = new Properties(option);
  return {
    driver: param(option, 'driver') ?? '',
    id: param(option, 'id') ?? '',
    slot: properties.slot(),
    properties,
    mmioTransport: mmioTransport(line, option),
    bridges: bridgesTo(line, option),
    bus,
    option: at,
  };
}

/** Throws what its options are refused for. */
export function describe(option: Option, line: CommandLine, facts: Facts): DrivableDevice {
  const driver = param(option, 'driver') ?? '';
  const id = param(option, 'id') ?? '';
  const vhost = isVhost(driver);
  const label = `${id === '' ? driver : `${driver} ${id}`}${vhost ? ' (model)' : ''}`;
  const drive = vhost ? vhostDrive(line, option, facts.nextFree) : param(option, 'drive');
  if (drive === undefined) {
    throw new PlatterError(
      'lab.no-drive',
      `${label} has no drive=; name the -drive or -blockdev that it is to use`,
      { option: 'drive', value: label },
    );
  }
  const back = facts.backEnds.get(drive);
  if (back === undefined && !vhost) {
    throw new PlatterError(
      'lab.unknown-drive',
      `${label}: no -drive has id=${drive} and no -blockdev node-name=${drive}`,
      { option: 'drive', value: drive },
    );
  }
  const properties = new Properties(option);
  const controller = controllerOf(line, option, facts);
  const slot = properties.slot();
  return {
    driver,
    id,
    label,
    drive,
    option: facts.order(option),
    slot,
    mmioTransport: mmioTransport(line, option),
    bridges: controller?.bridges ?? bridgesTo(line, option),
    properties,
    controller,
    onErrors: onErrors(option, back),
    ...facts.machine,
    ...hostSide(back),
    ...(isVhostScsi(driver) ? { aio: 'vhost' as const } : {}),
  };
}

/** What `-hda` … `-hdd` are short for: the channel that each is on. */
const HD = ['hda', 'hdb', 'hdc', 'hdd'];
/** The place of `-cdrom`. */
const CDROM_PLACE = 2;
/** `if=` of a `-drive` that makes a device of its own, by the device that it makes; without `if=` it is `ide`. */
const IMPLICIT: Readonly<Record<string, string>> = { virtio: 'virtio-blk-pci', ide: 'ide-hd' };

/** Devices that drives make by themselves: `-drive if=virtio`, `-drive if=ide` or without `if=`, `-hda`. */
export function implicitDevices(line: CommandLine, facts: Facts): DrivableDevice[] {
  const found: DrivableDevice[] = [];
  const counts: Record<string, number> = {};
  for (const option of line.options) {
    const hd = option.name === 'cdrom' ? CDROM_PLACE : HD.indexOf(option.name);
    const cd = option.name === 'cdrom' || param(option, 'media') === 'cdrom';
    const kind = hd >= 0 ? 'ide' : option.name === 'drive' ? (param(option, 'if') ?? 'ide') : '';
    if (IMPLICIT[kind] === undefined || (cd && kind !== 'ide')) continue;
    const driver = cd ? 'ide-cd' : IMPLICIT[kind];
    const at = hd >= 0 ? hd : (counts[kind] ??= 0);
    counts[kind] = at + 1;
    const ide = kind === 'ide';
    // QEMU names IDE drives by channel and place: ide0-hd0, ide0-hd1, ide1-cd0, …; a q35 has one place on each.
    const units = isQ35(line) ? 1 : 2;
    const name = ide ? `ide${Math.floor(at / units)}-${cd ? 'cd' : 'hd'}${at % units}` : `virtio${at}`;
    const drive = (hd < 0 ? param(option, 'id') : undefined) ?? name;
    const { q35 } = facts.machine;
    const bus = q35 ? at : at >> 1;
    found.push({
      driver,
      id: drive,
      label: `${driver} ${drive}`,
      drive,
      option: line.options.length + found.length,
      bridges: [],
      properties: new Properties(undefined),
      controller: ide ? boardController(line, bus) : undefined,
      ...(ide ? { ide: { bus, unit: q35 ? 0 : at & 1 } } : {}),
      ...facts.machine,
      onErrors: onErrors(undefined, option),
      ...hostSide(option),
    });
  }
  return found;
}

/** Whether the laboratory could run what this `-device` makes. */
export function canRun(line: CommandLine, option: Option, facts: Facts): boolean {
  if (machineKind(param(option, 'driver') ?? '') !== undefined) return true;
  try {
    const controller = controllerOf(line, option, facts);
    return controller !== undefined && machineKind(controller.driver) !== undefined;
  } catch {
    return false;
  }
}

/** What every disk of a line is looked up in. */
export interface Facts {
  /** By the id of the `-drive` or the node name of the `-blockdev`. */
  backEnds: ReadonlyMap<string, Option>;
  scsi: readonly { option: Option; at: number }[];
  ide: readonly { option: Option; at: number }[];
  /** `-device` options that make disks. */
  disks: readonly Option[];
  /** The place of an option on the line. */
  order: (option: Option) => number;
  /** Counts the models that have got a drive which nobody uses. */
  nextFree: { count: number };
  machine: Pick<DrivableDevice, 'cpus' | 'kernelOptions' | 'mmioVersion' | 'q35'>;
}

export function factsOf(line: CommandLine): Facts {
  const backEnds = new Map<string, Option>();
  const order = new Map<Option, number>();
  const devices: { option: Option; at: number; driver: string }[] = [];
  line.options.forEach((option, at) => {
    order.set(option, at);
    const key = option.name === 'drive' ? 'id' : option.name === 'blockdev' ? 'node-name' : undefined;
    const name = key === undefined ? undefined : param(option, key);
    if (name !== undefined && !backEnds.has(name)) backEnds.set(name, option);
    if (option.name === 'device') devices.push({ option, at, driver: param(option, 'driver') ?? '' });
  });
  const isDisk = (driver: string): boolean => KNOWN_DISKS.test(driver) && !CONTROLLERS.test(driver);
  return {
    backEnds,
    scsi: devices.filter(({ driver }) => SCSI_CONTROLLERS.test(driver)),
    ide: devices.filter(({ driver }) => IDE_CONTROLLERS.test(driver)),
    disks: devices
      .filter(({ option, driver }) => option.params.length > 0 && isDisk(driver))
      .map(({ option }) => option),
    order: (option) => order.get(option) ?? line.options.length,
    nextFree: { count: 0 },
    machine: {
      cpus: cpuCount(line),
      kernelOptions: kernelOptions(line),
      mmioVersion: mmioVersion(line),
      q35: isQ35(line),
    },
  };
}

/** Units on each bus of an IDE controller, and how many buses it has. */
const IDE_SHAPE = { piix: { units: 2, buses: 2 }, ahci: { units: 1, buses: 6 } } as const;

/** Finds the disk its place among those of its controller that QEMU has made before it. Throws `lab.place-taken`, `lab.no-place`. */
export function placeDisk(device: DrivableDevice, places: Places): void {
  const { controller, driver, properties, label } = device;
  if (controller === undefined) return;
  if (driver.startsWith('scsi-')) {
    device.scsi = places.scsi(properties, label);
    return;
  }
  const { units, buses } = IDE_SHAPE[controller.driver.startsWith('piix') ? 'piix' : 'ahci'];
  if (controller.bus >= buses) {
    const value = `${controller.id === '' ? 'ide' : controller.id}.${controller.bus}`;
    throw new PlatterError('lab.no-controller', `${label}: Bus '${value}' not found`, {
      option: 'bus',
      value,
    });
  }
  device.ide = places.ide(properties, controller.bus, units, label, device.ide?.unit);
}

/** The disks of a command line: what each sits behind and where, and what its options say. Which of them are run is disks.ts's business. */
import { PlatterError } from '../errors.ts';
import { ON_ERROR, type OnError, type OnErrors } from '../block/on-error.ts';
import type { AioMode } from '../machine/host-io.ts';
import type { CommandLine, Option } from '../qemu/model.ts';
import { bridgesTo, type BridgeOnTheWay } from './bridges.ts';
import { machineKind } from './machines/index.ts';
import {
  idePlace,
  LinePlaces,
  mmioTransport,
  NO_OPTION,
  scsiPlace,
  slotOf,
  type IdePlace,
  type Placed,
  type ScsiPlace,
} from './places.ts';
import { param, Properties } from './properties.ts';
import { isVhost, isVhostScsi, vhostDrive } from './vhost.ts';

/** Front ends for disks that it knows and cannot all run. */
const KNOWN_DISKS =
  /^(virtio-(blk|scsi)|vhost-(scsi|user-(blk|scsi))|scsi-(hd|cd|block|generic)|ide-(hd|cd|drive)|ahci|ich9-ahci|nvme|nvme-ns|usb-storage|floppy|sd-card|lsi53c895a|megasas|pvscsi|mptsas1068)/;
/** Controllers, which have no `drive=` of their own: what runs is a disk on one of them. */
const CONTROLLERS = /^(virtio-scsi|ahci$|ich9-ahci$|piix[34]-ide$)/;

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
  /** Of IDE: the number of its first place among all of the machine, from 1. */
  firstNumber: number;
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
  /** Where QEMU puts it beside all others of the line; undefined when there is no bus for it. */
  placed: Placed | undefined;
  /** The same on its controller, in numbers. */
  scsi?: ScsiPlace;
  ide?: IdePlace;
  /** The virtio-mmio transport that it sits on itself. */
  mmioTransport?: number;
  /** PCI slot that QEMU gives it; undefined when it is no PCI function, or on a machine that is not known. */
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
  const properties = new Properties(undefined);
  return { driver, id: '', properties, bridges: [], bus, option: NO_OPTION, firstNumber: 1 };
}

/** The controller that a disk with `bus=` (or none) sits on; undefined for a PCI function. Throws `lab.no-controller`. */
function controllerOf(line: CommandLine, disk: Option, facts: Facts): Controller | undefined {
  const driver = param(disk, 'driver') ?? '';
  const scsi = driver.startsWith('scsi-');
  if (!scsi && !driver.startsWith('ide-')) return undefined;
  const placed = facts.places.of(disk);
  if (placed?.bus === undefined) {
    const name = placed?.wantedBus;
    const none = `No '${scsi ? 'SCSI' : 'IDE'}' bus found for device '${driver}'`;
    throw new PlatterError(
      'lab.no-controller',
      `${driver}: ${name === undefined ? none : `Bus '${name}' not found`}`,
      { option: 'bus', value: name ?? driver },
    );
  }
  const { controller: option, bus } = facts.places.ownerOf(placed.bus);
  if (option === undefined) return boardController(line, bus);
  return {
    driver: param(option, 'driver') ?? '',
    id: param(option, 'id') ?? '',
    slot: slotOf(facts.places.of(option), labelOf(option)),
    properties: new Properties(option),
    mmioTransport: mmioTransport(facts.places.of(option)),
    bridges: bridgesTo(line, option, facts.places),
    bus,
    option: facts.order(option),
    firstNumber: facts.places.firstIdeNumber(option),
  };
}

/** As messages call it. */
function labelOf(option: Option): string {
  const id = param(option, 'id') ?? '';
  return id === '' ? (param(option, 'driver') ?? '') : `${param(option, 'driver')} ${id}`;
}

/** Throws what its options are refused for. */
export function describe(option: Option, line: CommandLine, facts: Facts): DrivableDevice {
  const driver = param(option, 'driver') ?? '';
  const id = param(option, 'id') ?? '';
  const vhost = isVhost(driver);
  const label = `${labelOf(option)}${vhost ? ' (model)' : ''}`;
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
  const placed = facts.places.of(option);
  return {
    driver,
    id,
    label,
    drive,
    option: facts.order(option),
    slot: slotOf(placed, label),
    mmioTransport: mmioTransport(placed),
    bridges: controller?.bridges ?? bridgesTo(line, option, facts.places),
    properties,
    controller,
    placed,
    onErrors: onErrors(option, back),
    ...facts.machine,
    ...hostSide(back),
    ...(isVhostScsi(driver) ? { aio: 'vhost' as const } : {}),
  };
}

/** Devices that drives make by themselves: `-drive if=virtio`, `-drive if=ide` or without `if=`, `-hda`. */
export function implicitDevices(line: CommandLine, facts: Facts): DrivableDevice[] {
  return facts.places.made.map((made, at) => {
    const { drive, driver } = made;
    return {
      driver,
      id: drive.id,
      label: `${driver} ${drive.id}`,
      drive: drive.id,
      option: line.options.length + at,
      slot: slotOf(made, drive.id),
      bridges: [],
      properties: new Properties(undefined),
      controller: drive.if === 'ide' ? boardController(line, drive.bus) : undefined,
      placed: made,
      ...facts.machine,
      onErrors: onErrors(undefined, drive.option),
      ...hostSide(drive.option),
      readOnly: drive.readOnly,
    };
  });
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
  places: LinePlaces;
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
  line.options.forEach((option, at) => {
    order.set(option, at);
    const key = option.name === 'drive' ? 'id' : option.name === 'blockdev' ? 'node-name' : undefined;
    const name = key === undefined ? undefined : param(option, key);
    if (name !== undefined && !backEnds.has(name)) backEnds.set(name, option);
  });
  const isDisk = (option: Option): boolean => {
    const driver = param(option, 'driver') ?? '';
    return option.params.length > 0 && KNOWN_DISKS.test(driver) && !CONTROLLERS.test(driver);
  };
  return {
    backEnds,
    places: new LinePlaces(line),
    disks: line.options.filter((option) => option.name === 'device' && isDisk(option)),
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

/** Finds the disk its place on its controller. Throws `lab.place-taken`, `lab.no-place`, `lab.no-controller`, `lab.bad-value`, `lab.ports-taken`. */
export function placeDisk(device: DrivableDevice, { places }: Facts): void {
  const { controller, placed, driver, label } = device;
  if (controller === undefined || placed === undefined) return;
  if (driver.startsWith('scsi-')) {
    device.scsi = scsiPlace(placed, label);
    return;
  }
  if (placed.bus === undefined) {
    const value = `ide.${controller.bus}`;
    const message = `${label}: Bus '${value}' not found`;
    throw new PlatterError('lab.no-controller', message, { option: 'bus', value });
  }
  device.ide = idePlace(placed, controller.bus, label, places.made);
  places.checkPorts(placed, label);
}

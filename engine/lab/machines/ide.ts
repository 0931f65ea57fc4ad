/** Disks on the PIIX IDE controller of QEMU's `pc`, driven by the guest's ata_piix. */
import { IdeDriver } from '../../guest/ide.ts';
import { guessGeometry, type Geometry } from '../../ide/geometry.ts';
import { removableDrive } from '../../ide/atapi/removable.ts';
import type { IdeDrive } from '../../ide/drive.ts';
import type { IdeDriveOptions } from '../../ide/options.ts';
import { BM_BAR, LEGACY, PiixIde } from '../../ide/piix.ts';
import { isPromise } from '../../maybe.ts';
import { COMMAND, PCI, PciFunction } from '../../machine/pci/function.ts';
import { idePanel } from '../attacks/ata-target.ts';
import type { AttackPanel } from '../attacks/panel.ts';
import { ideSections } from '../details/ide.ts';
import { pciSections } from '../details/pci.ts';
import type { Section } from '../details/section.ts';
import type { DrivableDevice } from '../drivable.ts';
import { NO_OPTION } from '../places.ts';
import { given } from '../properties.ts';
import type { LabDevice, LabDisk, LabHardware, MachineContext, MachineKind } from './kind.ts';
import { NO_SUMMARY } from './kind.ts';

/** The PIIX3 lies in slot 1 of a `pc`: function 0 is the ISA bridge, function 1 the IDE controller. */
const PIIX_SLOT = 1;
const IDE_FUNCTION = 1;
/** Where firmware puts the bus master's ports, and how many there are. */
const BUS_MASTER = { at: 0xc040, bytes: 16 } as const;
const MULTIFUNCTION = 0x80;
const KERNEL_BYTES = 64 * 1024;
const SIZES = { least: 512, most: 2 * 1024 * 1024 };

/** The disk's properties as its option gives them. Throws `lab.bad-value`. */
export function ideDriveOptions(wanted: DrivableDevice, node: MachineContext['node']): IdeDriveOptions {
  const { properties, driver, unmap } = wanted;
  const isCd = driver === 'ide-cd';
  const wwn = properties.text('wwn');
  const geometry = {
    cylinders: properties.number('cyls', { least: 1, most: 65535 }),
    heads: properties.number('heads', { least: 1, most: 16 }),
    sectors: properties.number('secs', { least: 1, most: 255 }),
  };
  const { cylinders, heads, sectors } = geometry;
  const given3 = cylinders !== undefined && heads !== undefined && sectors !== undefined;
  return {
    kind: isCd ? 'cd' : 'hd',
    node,
    unmap,
    onErrors: wanted.onErrors,
    ...given({
      serial: properties.text('serial'),
      model: properties.text('model'),
      version: properties.text('ver'),
      wwn: wwn !== undefined && /^(0x[0-9a-f]+|\d+)$/i.test(wwn) ? BigInt(wwn) : undefined,
      physicalBlockSize: properties.number('physical_block_size', SIZES),
      rotationRate: properties.number('rotation_rate', { least: 0, most: 65535 }),
      writeCache: properties.on('write-cache', true),
      geometry: isCd ? undefined : given3 ? { cylinders, heads, sectors } : guessed(node),
    }),
  };
}

/** From the disk's own partition table, unless its storage answers later: then its size alone counts. */
function guessed(node: MachineContext['node']): Geometry | undefined {
  const geometry = guessGeometry(node);
  if (!isPromise(geometry)) return geometry;
  // A disk that cannot be read will say so when the guest reads it.
  geometry.catch(() => undefined);
  return undefined;
}

/** `libata.dma=0` in the guest kernel's options: everything through the data port. */
const usesDma = ({ kernelOptions }: DrivableDevice): boolean => !/\blibata\.dma=0\b/.test(kernelOptions);

/** The drive of the disk that lies at this place of the controller. */
export function driveAt({ disks }: MachineContext, bus: number, unit: number): IdeDriveOptions | undefined {
  const disk = disks.find(({ wanted: { ide } }) => ide?.bus === bus && ide.unit === unit);
  return disk === undefined ? undefined : ideDriveOptions(disk.wanted, disk.node);
}

/** The tray of a CD-ROM drive. */
export function trayOf(drive: IdeDrive): LabDisk['removable'] {
  return drive.isCd ? removableDrive(drive) : undefined;
}

/** What the screen shows of an IDE controller: it has neither virtqueues nor messages. */
export function plainDevice(
  name: string,
  pci: PciFunction,
  status: () => number,
  details: () => Section[] = () => [],
  attacks?: AttackPanel,
): LabDevice {
  return {
    pci,
    queueCount: 0,
    queue: () => null,
    vectors: () => [],
    summary: () => ({ name, ...NO_SUMMARY, status: status() }),
    details: () => [...pciSections(pci), ...details()],
    attacks,
  };
}

/** The ISA bridge, without which nobody would look for a second function in the slot. */
function isaBridge(): PciFunction {
  const bridge = new PciFunction({
    name: 'PIIX3',
    vendor: 0x8086,
    device: 0x7000,
    revision: 0,
    classCode: 0x06_0100,
    subsystemVendor: 0x1af4,
    subsystem: 0x1100,
    interruptPin: 0,
  });
  bridge.config[PCI.headerType] = MULTIFUNCTION;
  return bridge;
}

/** Plugs the controller in and lets firmware place the bus master's ports; answers where they are. */
function plug(context: MachineContext, pci: PciFunction): number {
  const { bus, wanted } = context;
  if (!isBoard(wanted)) {
    context.firmware(context.pci.plug(pci, wanted.controller?.slot));
    return pci.barBase(BM_BAR) ?? 0;
  }
  context.pci.plug(isaBridge(), PIIX_SLOT);
  context.pci.plug(pci, PIIX_SLOT, IDE_FUNCTION);
  const busMaster = context.placeIo(BUS_MASTER.at, BUS_MASTER.bytes);
  bus.configWrite(PIIX_SLOT, PCI.bar0 + BM_BAR * 4, 4, busMaster, IDE_FUNCTION);
  bus.configWrite(PIIX_SLOT, PCI.command, 2, COMMAND.io | COMMAND.master, IDE_FUNCTION);
  return busMaster;
}

/** Whether the controller is the machine's own. */
export const isBoard = ({ controller }: DrivableDevice): boolean =>
  controller === undefined || controller.option === NO_OPTION;

export const piixIde: MachineKind = {
  drivers: ['piix3-ide', 'piix4-ide'],
  memoryBytes: () => KERNEL_BYTES,
  build(context): LabHardware {
    const { wanted, memory, trace, bus, allocator } = context;
    const { controller } = wanted;
    const device = new PiixIde({
      name: controller?.driver ?? 'piix3-ide',
      model: controller?.driver === 'piix4-ide' ? 'piix4-ide' : 'piix3-ide',
      memory,
      trace,
      host: context.host,
      ...context.errors,
      interrupts: context.interrupts,
      io: context.io,
      onWork: context.wakeDevice,
      firstNumber: controller?.firstNumber,
      drives: [0, 1, 2, 3].map((place) => driveAt(context, place >> 1, place & 1)),
    });
    const busMaster = plug(context, device.pci);
    // Each channel has registers, an interrupt and a driver of its own, that its two drives share.
    const channels = CHANNELS.map((channel) => ({ channel, units: unitsOn(context, channel) }))
      .filter(({ units }) => units.length > 0)
      .map(({ channel, units }) => {
        const line = device.channels[channel];
        const driver = new IdeDriver({
          bus,
          memory,
          allocator,
          trace,
          settle: context.settle,
          busMaster,
          channel,
          units,
          dma: usesDma(wanted),
          onRequest: (requestId) => (line.requestId = requestId),
        });
        const { command, control } = LEGACY[channel];
        const masterPort = busMaster + channel * 8;
        const parts = {
          channel: line,
          command,
          control,
          memory,
          master: device.masters[channel],
          masterPort,
        };
        const details = (unit: 0 | 1): Section[] => ideSections({ ...parts, drive: line.drives[unit] });
        const ports = { command, control, master: masterPort };
        return { channel, units, driver, details, line, ports };
      });
    const disks = context.disks.map((disk) => {
      const place = disk.wanted.ide ?? { bus: 0, unit: 0 };
      const at = channels.find(({ channel }) => channel === place.bus) ?? channels[0];
      const unit = place.unit === 1 ? 1 : 0;
      const attacks = idePanel(context, { ...at.ports, unit }, at.line.drives[unit].isCd);
      const { label } = disk.wanted;
      const drive = at.line.drives[unit];
      const details = (): Section[] => at.details(unit);
      const view = plainDevice(label, device.pci, () => drive.status, details, attacks);
      const removable = trayOf(drive);
      return { driver: at.driver, unit: at.units.indexOf(unit), device: view, removable };
    });
    const drivers = channels.map(({ driver }) => driver);
    return { step: () => device.step(), error: undefined, drivers, disks };
  },
};

const CHANNELS = [0, 1] as const;

/** Master and slave of the channel, as far as they are there. */
function unitsOn({ disks }: MachineContext, channel: 0 | 1): (0 | 1)[] {
  return CHANNELS.filter((unit) =>
    disks.some(({ wanted: { ide } }) => ide?.bus === channel && ide.unit === unit),
  );
}

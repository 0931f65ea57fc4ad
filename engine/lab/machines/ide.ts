/** A disk on the PIIX IDE controller of QEMU's `pc`, driven by the guest's ata_piix. */
import { IdeDriver } from '../../guest/ide.ts';
import { guessGeometry, type Geometry } from '../../ide/geometry.ts';
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
import { given } from '../properties.ts';
import type { LabDevice, LabHardware, MachineContext, MachineKind } from './kind.ts';
import { NO_SUMMARY } from './kind.ts';

/** The PIIX3 lies in slot 1 of a `pc`: function 0 is the ISA bridge, function 1 the IDE controller. */
const PIIX_SLOT = 1;
const IDE_FUNCTION = 1;
/** Where firmware puts the bus master's ports. */
const BUS_MASTER = 0xc040;
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

/** `unit=`; the place of the disk on its channel. */
function unitOf(wanted: DrivableDevice): 0 | 1 {
  const implicit = /^ide\d-(hd|cd)1$/.test(wanted.id) && wanted.properties.text('drive') === undefined;
  return implicit || wanted.properties.number('unit', { least: 0, most: 1 }) === 1 ? 1 : 0;
}

/** What the screen shows of an IDE controller: it has neither virtqueues nor messages. */
export function plainDevice(
  name: string,
  pci: PciFunction,
  device: { step(): boolean },
  status: () => number,
  details: () => Section[] = () => [],
  attacks?: AttackPanel,
): LabDevice {
  return {
    pci,
    step: () => device.step(),
    error: undefined,
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

export const piixIde: MachineKind = {
  drivers: ['piix3-ide', 'piix4-ide'],
  memoryBytes: () => KERNEL_BYTES,
  build(context): LabHardware {
    const { wanted, memory, trace, bus, allocator } = context;
    const { controller } = wanted;
    const channel = (controller?.bus ?? 0) === 1 ? 1 : 0;
    const unit = unitOf(wanted);
    const drives = Array.from({ length: 4 }, (_, place) =>
      place === channel * 2 + unit ? ideDriveOptions(wanted, context.node) : undefined,
    );
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
      drives,
    });
    context.pci.plug(isaBridge(), PIIX_SLOT);
    context.pci.plug(device.pci, PIIX_SLOT, IDE_FUNCTION);
    bus.configWrite(PIIX_SLOT, PCI.bar0 + BM_BAR * 4, 4, BUS_MASTER, IDE_FUNCTION);
    bus.configWrite(PIIX_SLOT, PCI.command, 2, COMMAND.io | COMMAND.master, IDE_FUNCTION);
    const line = device.channels[channel];
    const driver = new IdeDriver({
      bus,
      memory,
      allocator,
      trace,
      settle: context.settle,
      busMaster: BUS_MASTER,
      channel,
      unit,
      dma: usesDma(wanted),
      onRequest: (requestId) => (line.requestId = requestId),
    });
    const { command, control } = LEGACY[channel];
    const masterPort = BUS_MASTER + channel * 8;
    const details = (): Section[] =>
      ideSections({
        channel: line,
        command,
        control,
        master: device.masters[channel],
        masterPort,
        memory,
      });
    const attacks = idePanel(context, { command, control, master: masterPort, unit }, line.drive.isCd);
    return {
      device: plainDevice(wanted.label, device.pci, device, () => line.drive.status, details, attacks),
      driver,
    };
  },
};

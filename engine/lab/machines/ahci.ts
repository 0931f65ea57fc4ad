/** Disks on an AHCI controller: the one of QEMU's `q35`, or one of `-device ahci`; driven by the guest's ahci. */
import { AhciDriver } from '../../guest/ahci.ts';
import { Ahci, AHCI_BAR, AHCI_PORTS } from '../../ide/ahci/hba.ts';
import { COMMAND, PCI } from '../../machine/pci/function.ts';
import { ahciPanel } from '../attacks/ata-target.ts';
import { ahciSections } from '../details/ahci.ts';
import { driveAt, isBoard, plainDevice, trayOf } from './ide.ts';
import type { LabHardware, MachineContext, MachineKind } from './kind.ts';

/** The ICH9's SATA function, and where firmware puts its registers. */
const BOARD_SLOT = 0x1f;
const BOARD_FUNCTION = 2;
const BOARD_REGISTERS = 0xfeb8_0000;
/** Command list, FIS area and 32 command tables of a port. */
const PORT_BYTES = 192 * 1024;

/** Plugs the controller in: where the guest finds it, and its registers. */
function plug(context: MachineContext, device: Ahci): { slot: number; function: number; registers: number } {
  const { bus, pci, wanted } = context;
  if (!isBoard(context.wanted)) {
    const slot = context.firmware(pci.plug(device.pci, wanted.controller?.slot));
    return { slot, function: 0, registers: device.pci.barBase(AHCI_BAR) ?? 0 };
  }
  pci.plug(device.pci, BOARD_SLOT, BOARD_FUNCTION);
  bus.configWrite(BOARD_SLOT, PCI.bar0 + AHCI_BAR * 4, 4, BOARD_REGISTERS, BOARD_FUNCTION);
  bus.configWrite(BOARD_SLOT, PCI.command, 2, COMMAND.memory | COMMAND.master, BOARD_FUNCTION);
  return { slot: BOARD_SLOT, function: BOARD_FUNCTION, registers: BOARD_REGISTERS };
}

export const ahci: MachineKind = {
  drivers: ['ich9-ahci', 'ahci'],
  memoryBytes: (_wanted, disks) => disks * PORT_BYTES,
  build(context): LabHardware {
    const { wanted, memory, trace, bus, allocator } = context;
    const board = isBoard(context.wanted);
    const numbers = context.disks.map((disk) => disk.wanted.ide?.bus ?? 0);
    const device = new Ahci({
      name: wanted.controller?.driver ?? 'ich9-ahci',
      memory,
      trace,
      host: context.host,
      ...context.errors,
      interrupts: context.interrupts,
      multifunction: board,
      firstNumber: wanted.controller?.firstNumber,
      drives: Array.from({ length: AHCI_PORTS }, (_, port) => driveAt(context, port, 0)),
    });
    const found = plug(context, device);
    const driver = new AhciDriver({
      bus,
      memory,
      allocator,
      trace,
      settle: context.settle,
      ...found,
      ports: numbers,
      vector: context.vectors.of(0, 0),
      onSlot: (port, slot, requestId) => (device.ports[port].requestOf[slot] = requestId),
    });
    const disks = context.disks.map((disk, unit) => {
      const port = device.ports[numbers[unit]];
      const details = () => ahciSections({ device, port });
      const at = { registers: found.registers, port: port.number };
      const attacks = ahciPanel(context, at, port.drive.isCd);
      const { label } = disk.wanted;
      const view = plainDevice(label, device.pci, () => port.drive.status, details, attacks);
      return { driver, unit, device: view, removable: trayOf(port.drive) };
    });
    return { step: () => device.step(), error: undefined, drivers: [driver], disks };
  },
};

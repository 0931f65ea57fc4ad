/** The bridges between the root bus and a disk's PCI function, as `bus=` names them. */
import { PlatterError } from '../errors.ts';
import type { Firmware } from '../guest/firmware.ts';
import type { AddressSpace } from '../machine/address-space.ts';
import { BRIDGES, PciBridge } from '../machine/pci/bridge.ts';
import type { PciBus } from '../machine/pci/bus.ts';
import type { CommandLine, Option } from '../qemu/model.ts';
import { param, Properties } from './properties.ts';

/** One bridge on the way; the first one sits on the root bus. */
export interface BridgeOnTheWay {
  /** QEMU's name: `pcie-root-port`. */
  driver: string;
  id: string;
  slot?: number;
}

/** The root buses of QEMU's `pc` and `q35`. */
const ROOTS = new Set(['pci.0', 'pcie.0', 'pci']);

/**
 * The bridges that a device with `bus=` sits behind, outermost first; none for the root bus. Throws `lab.unknown-bus`, also for a bus
 * of a controller that the laboratory does not know as a bridge.
 */
export function bridgesTo(line: CommandLine, option: Option): BridgeOnTheWay[] {
  // A virtio-mmio transport is no PCI function.
  if (param(option, 'driver')?.endsWith('-device') === true) return [];
  const path: BridgeOnTheWay[] = [];
  for (let bus = param(option, 'bus'); bus !== undefined && !ROOTS.has(bus);) {
    const name: string = bus;
    const bridge = line.options.find((entry) => entry.name === 'device' && param(entry, 'id') === name);
    const driver = param(bridge, 'driver') ?? '';
    if (bridge === undefined || BRIDGES[driver] === undefined || path.some(({ id }) => id === name)) {
      throw new PlatterError(
        'lab.unknown-bus',
        `bus=${name}: there is no bus with this name; name pci.0, pcie.0 or the id= of a bridge`,
        { option: 'bus', value: name, expected: ['pci.0', ...Object.keys(BRIDGES)].join(', ') },
      );
    }
    path.unshift({ driver, id: name, slot: new Properties(bridge).slot() });
    bus = param(bridge, 'bus');
  }
  return path;
}

/** Builds the bridges and lets firmware number their buses. Answers the innermost bus and its number. */
export function buildBridges(
  root: PciBus,
  spaces: { memory: AddressSpace; io: AddressSpace },
  path: readonly BridgeOnTheWay[],
  firmware: Firmware,
): { bus: PciBus; number: number } {
  let at = { bus: root, number: 0 };
  let { memory, io } = spaces;
  for (const { driver, id, slot } of path) {
    const bridge = new PciBridge({ name: `${driver} ${id}`, ...BRIDGES[driver] }, memory, io);
    const where = at.bus.plugBridge(bridge, slot);
    at = { bus: bridge.secondary, number: firmware.openBridge(at.number, where) };
    ({ memory, io } = bridge.behind);
  }
  return at;
}

/** The bridges between the root bus and a disk's PCI function, as `bus=` names them. */
import { PlatterError } from '../errors.ts';
import type { Firmware } from '../guest/firmware.ts';
import type { AddressSpace } from '../machine/address-space.ts';
import { BRIDGES, PciBridge } from '../machine/pci/bridge.ts';
import type { PciBus } from '../machine/pci/bus.ts';
import type { CommandLine, Option } from '../qemu/model.ts';
import { slotOf, type LinePlaces } from './places.ts';
import { param } from './properties.ts';

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
export function bridgesTo(line: CommandLine, option: Option, places: LinePlaces): BridgeOnTheWay[] {
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
    path.unshift({ driver, id: name, slot: slotOf(places.of(bridge), name) });
    bus = param(bridge, 'bus');
  }
  return path;
}

/** The innermost bus of a way, and its number. */
interface Place {
  bus: PciBus;
  number: number;
  spaces: { memory: AddressSpace; io: AddressSpace };
}

/** Builds bridges when a device behind them is built, each once, and lets firmware number their buses. */
export class Bridges {
  readonly #root: Place;
  readonly #firmware: Firmware;
  readonly #built = new Map<string, Place>();

  constructor(root: PciBus, spaces: Place['spaces'], firmware: Firmware) {
    this.#root = { bus: root, number: 0, spaces };
    this.#firmware = firmware;
  }

  /** The bus at the end of the way. */
  to(path: readonly BridgeOnTheWay[]): Place {
    let at = this.#root;
    for (const bridge of path) {
      const place = this.#built.get(bridge.id) ?? this.#build(bridge, at);
      this.#built.set(bridge.id, place);
      at = place;
    }
    return at;
  }

  #build({ driver, id, slot }: BridgeOnTheWay, { bus, number, spaces }: Place): Place {
    const bridge = new PciBridge({ name: `${driver} ${id}`, ...BRIDGES[driver] }, spaces.memory, spaces.io);
    const where = bus.plugBridge(bridge, slot);
    return {
      bus: bridge.secondary,
      number: this.#firmware.openBridge(number, where),
      spaces: bridge.behind,
    };
  }
}

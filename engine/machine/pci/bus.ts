/** One PCI bus: the functions in its slots. */
import { PlatterError } from '../../errors.ts';
import { type AccessSize, type AddressSpace, allOnes } from '../address-space.ts';
import type { PciFunction, PinRoute } from './function.ts';

/** A function with a bus behind it. */
export interface PciBridgeFunction extends PciFunction {
  readonly secondary: PciBus;
  /** Numbers of the bus behind it and of the last one behind that, as software wrote them. */
  readonly busNumbers: { secondary: number; subordinate: number };
}

/** How a bus hangs on the bridge in front of it. */
export interface BehindBridge {
  /** The way of an interrupt pin to the root bus. */
  route: (slot: number, pin: number) => PinRoute;
  /** The bus number that software gave it. */
  number: () => number;
}

export class PciBus {
  /** By device and function number. */
  readonly #functions = new Map<number, PciFunction>();
  readonly #memory: AddressSpace;
  readonly #io: AddressSpace;
  readonly #firstFree: number;
  readonly #behind: BehindBridge | undefined;
  readonly #bridges: PciBridgeFunction[] = [];

  /**
   * `firstFree`: the first slot that a device without `addr=` gets. `behind`: the bridge in front of it; undefined for the root bus.
   */
  constructor(memory: AddressSpace, io: AddressSpace, firstFree: number, behind?: BehindBridge) {
    this.#memory = memory;
    this.#io = io;
    this.#firstFree = firstFree;
    this.#behind = behind;
  }

  /**
   * Plugs the function into the slot, or the first free one, as its function `number`. Answers the slot. Throws
   * `machine.slot-taken`, `machine.no-slot`.
   */
  plug(pci: PciFunction, wanted?: number, number = 0): number {
    const slot = wanted ?? this.#freeSlot();
    if (slot < 0 || slot > 31) {
      throw new PlatterError('machine.no-slot', `PCI slot ${slot} does not exist; a bus has slots 0 to 31`, {
        option: 'addr',
        value: String(slot),
        expected: '0x0–0x1f',
      });
    }
    const taken = this.at(slot, number);
    if (taken !== undefined) {
      throw new PlatterError(
        'machine.slot-taken',
        `PCI slot ${slot} is taken by ${taken.identity.name}; give ${pci.identity.name} another addr=`,
        { option: 'addr', value: `0x${slot.toString(16)}` },
      );
    }
    this.#functions.set(slot * 8 + number, pci);
    pci.plug({ slot, number, bus: this.#behind?.number }, this.#memory, this.#io, this.#behind?.route);
    return slot;
  }

  /** Without any function; -1 when there is none left. */
  #freeSlot(): number {
    for (let slot = this.#firstFree; slot < 32; slot++) {
      if (![0, 1, 2, 3, 4, 5, 6, 7].some((number) => this.#functions.has(slot * 8 + number))) return slot;
    }
    return -1;
  }

  at(slot: number, number = 0): PciFunction | undefined {
    return this.#functions.get(slot * 8 + number);
  }

  /** Reads configuration space of function `devfn & 7` in slot `devfn >> 3`; what is not there reads as all ones. */
  read(devfn: number, offset: number, size: AccessSize): number {
    const pci = this.#functions.get(devfn);
    if (pci === undefined) return allOnes(size);
    return pci.read(offset, size);
  }

  write(devfn: number, offset: number, size: AccessSize, value: number): void {
    this.#functions.get(devfn)?.write(offset, size, value);
  }

  /** Plugs a bridge: configuration cycles for buses behind it go through it. */
  plugBridge(bridge: PciBridgeFunction, wanted?: number, number = 0): number {
    const slot = this.plug(bridge, wanted, number);
    this.#bridges.push(bridge);
    return slot;
  }

  /** The bus with this number behind one of its bridges, or undefined. The numbers are software's: it must have set them first. */
  behind(number: number): PciBus | undefined {
    for (const bridge of this.#bridges) {
      const { secondary, subordinate } = bridge.busNumbers;
      if (number < secondary || number > subordinate || secondary === 0) continue;
      return number === secondary ? bridge.secondary : bridge.secondary.behind(number);
    }
    return undefined;
  }
}

/** The root bus: configuration mechanism 1 (ports 0xCF8 and 0xCFC) and the enhanced mechanism (ECAM). */
import { PlatterError } from '../../errors.ts';
import type { AccessSize, AddressSpace, RegisterRange } from '../address-space.ts';
import type { PciFunction } from './function.ts';

/** Bytes of one bus in ECAM: 32 slots, 8 functions, 4 KiB each. */
const ECAM_BUS = 1 << 20;
/** q35's MCFG base (hw/pci-host/q35.c). */
export const ECAM_BASE = 0xb000_0000;
export const CONFIG_PORTS = 0xcf8;

export class PciBus {
  /** By device and function number. */
  readonly #functions = new Map<number, PciFunction>();
  readonly #memory: AddressSpace;
  readonly #io: AddressSpace;
  #address = 0;

  constructor(memory: AddressSpace, io: AddressSpace) {
    this.#memory = memory;
    this.#io = io;
    io.map(CONFIG_PORTS, this.#ports());
    memory.map(ECAM_BASE, this.#ecam());
  }

  /**
   * Plugs the function into the slot, or the first free one from 2 on, as its function `number`. Answers the slot. Throws
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
    pci.plug(slot, this.#memory, this.#io);
    return slot;
  }

  /** Without any function; -1 when there is none left. */
  #freeSlot(): number {
    for (let slot = 2; slot < 32; slot++) {
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
    if (pci === undefined) return size === 4 ? 0xffff_ffff : (1 << (size * 8)) - 1;
    return pci.read(offset, size);
  }

  write(devfn: number, offset: number, size: AccessSize, value: number): void {
    this.#functions.get(devfn)?.write(offset, size, value);
  }

  /** PCI 3.0, section 3.2.2.3.2: a dword at 0xCF8 selects, 0xCFC–0xCFF is the window. Only bus 0 exists. */
  #ports(): RegisterRange {
    const target = (offset: number): { devfn: number; register: number } | undefined =>
      (this.#address & 0x80ff_0000) >>> 0 === 0x8000_0000
        ? { devfn: (this.#address >> 8) & 0xff, register: (this.#address & 0xfc) + (offset & 3) }
        : undefined;
    return {
      name: 'pci configuration ports',
      size: 8,
      read: (offset, size) => {
        if (offset < 4) return offset === 0 && size === 4 ? this.#address : 0xff;
        const to = target(offset);
        return to === undefined ? 0xffff_ffff >>> (32 - size * 8) : this.read(to.devfn, to.register, size);
      },
      write: (offset, size, value) => {
        if (offset === 0 && size === 4) this.#address = value >>> 0;
        const to = offset < 4 ? undefined : target(offset);
        if (to !== undefined) this.write(to.devfn, to.register, size, value);
      },
    };
  }

  #ecam(): RegisterRange {
    return {
      name: 'pci ECAM',
      size: ECAM_BUS,
      read: (offset, size) => this.read((offset >> 12) & 0xff, offset & 0xfff, size),
      write: (offset, size, value) => this.write((offset >> 12) & 0xff, offset & 0xfff, size, value),
    };
  }
}

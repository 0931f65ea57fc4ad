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
  readonly #slots: (PciFunction | undefined)[] = Array.from({ length: 32 }, () => undefined);
  readonly #memory: AddressSpace;
  readonly #io: AddressSpace;
  #address = 0;

  constructor(memory: AddressSpace, io: AddressSpace) {
    this.#memory = memory;
    this.#io = io;
    io.map(CONFIG_PORTS, this.#ports());
    memory.map(ECAM_BASE, this.#ecam());
  }

  /** Plugs the function into the slot, or the first free one from 2 on. Throws `machine.slot-taken`, `machine.no-slot`. */
  plug(pci: PciFunction, wanted?: number): number {
    const slot = wanted ?? this.#slots.findIndex((taken, i) => i >= 2 && taken === undefined);
    if (slot < 0 || slot > 31) {
      throw new PlatterError('machine.no-slot', `PCI slot ${slot} does not exist; a bus has slots 0 to 31`, {
        option: 'addr',
        value: String(slot),
        expected: '0x0–0x1f',
      });
    }
    const taken = this.#slots[slot];
    if (taken !== undefined) {
      throw new PlatterError(
        'machine.slot-taken',
        `PCI slot ${slot} is taken by ${taken.identity.name}; give ${pci.identity.name} another addr=`,
        { option: 'addr', value: `0x${slot.toString(16)}` },
      );
    }
    this.#slots[slot] = pci;
    pci.plug(slot, this.#memory, this.#io);
    return slot;
  }

  at(slot: number): PciFunction | undefined {
    return this.#slots[slot];
  }

  /** Reads configuration space of slot `devfn >> 3`; what is not there reads as all ones. */
  read(devfn: number, offset: number, size: AccessSize): number {
    const pci = (devfn & 7) === 0 ? this.#slots[devfn >> 3] : undefined;
    if (pci === undefined) return size === 4 ? 0xffff_ffff : (1 << (size * 8)) - 1;
    return pci.read(offset, size);
  }

  write(devfn: number, offset: number, size: AccessSize, value: number): void {
    if ((devfn & 7) === 0) this.#slots[devfn >> 3]?.write(offset, size, value);
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

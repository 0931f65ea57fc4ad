/** The root of PCI: bus 0 with configuration mechanism 1 (ports 0xCF8 and 0xCFC) and the enhanced mechanism (ECAM). */
import { type AccessSize, type AddressSpace, allOnes, type RegisterRange } from '../address-space.ts';
import { PciBus } from './bus.ts';

/** Bytes of one bus in ECAM: 32 slots, 8 functions, 4 KiB each. */
const ECAM_BUS = 1 << 20;
const BUSES = 256;
/** q35's MCFG base (hw/pci-host/q35.c). */
export const ECAM_BASE = 0xb000_0000;
export const CONFIG_PORTS = 0xcf8;
/** Slot 0 is the host bridge's, slot 1 the ISA bridge's or the display's. */
const FIRST_FREE = 2;

export class PciRoot extends PciBus {
  #address = 0;

  constructor(memory: AddressSpace, io: AddressSpace) {
    super(memory, io, FIRST_FREE);
    io.map(CONFIG_PORTS, this.#ports());
    memory.map(ECAM_BASE, this.#ecam());
  }

  #bus(number: number): PciBus | undefined {
    return number === 0 ? this : this.behind(number);
  }

  /** A configuration read on any bus; what is not there reads as all ones. */
  configRead(bus: number, devfn: number, register: number, size: AccessSize): number {
    return this.#bus(bus)?.read(devfn, register, size) ?? allOnes(size);
  }
  configWrite(bus: number, devfn: number, register: number, size: AccessSize, value: number): void {
    this.#bus(bus)?.write(devfn, register, size, value);
  }

  /** PCI 3.0, section 3.2.2.3.2: a dword at 0xCF8 selects, 0xCFC–0xCFF is the window. */
  #ports(): RegisterRange {
    const enabled = (): boolean => this.#address >>> 31 === 1;
    const bus = (): number => (this.#address >>> 16) & 0xff;
    const devfn = (): number => (this.#address >>> 8) & 0xff;
    const register = (offset: number): number => (this.#address & 0xfc) + (offset & 3);
    return {
      name: 'pci configuration ports',
      size: 8,
      read: (offset, size) => {
        if (offset < 4) return offset === 0 && size === 4 ? this.#address : 0xff;
        if (!enabled()) return allOnes(size);
        return this.configRead(bus(), devfn(), register(offset), size);
      },
      write: (offset, size, value) => {
        if (offset === 0 && size === 4) this.#address = value >>> 0;
        else if (offset >= 4 && enabled()) this.configWrite(bus(), devfn(), register(offset), size, value);
      },
    };
  }

  #ecam(): RegisterRange {
    return {
      name: 'pci ECAM',
      size: ECAM_BUS * BUSES,
      read: (offset, size) =>
        this.configRead(Math.floor(offset / ECAM_BUS), (offset >>> 12) & 0xff, offset & 0xfff, size),
      write: (offset, size, value) =>
        this.configWrite(Math.floor(offset / ECAM_BUS), (offset >>> 12) & 0xff, offset & 0xfff, size, value),
    };
  }
}

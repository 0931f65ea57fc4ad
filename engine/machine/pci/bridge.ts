/**
 * A PCI-to-PCI bridge (PCI-to-PCI Bridge Architecture 1.2, chapter 3): bus numbers, and windows through which accesses to I/O and memory
 * reach the bus behind it. Header and write masks are those of QEMU's hw/pci/pci_bridge.c; root ports are bridges too.
 */
import { AddressSpace, type AccessSize, type RegisterRange } from '../address-space.ts';
import { PciBus, type PciBridgeFunction } from './bus.ts';
import { COMMAND, PCI, PciFunction } from './function.ts';

/** Offsets in the header of type 1. */
export const BRIDGE = {
  primaryBus: 0x18,
  secondaryBus: 0x19,
  subordinateBus: 0x1a,
  ioBase: 0x1c,
  ioLimit: 0x1d,
  memoryBase: 0x20,
  memoryLimit: 0x22,
  prefetchBase: 0x24,
  prefetchLimit: 0x26,
  prefetchBaseUpper: 0x28,
  prefetchLimitUpper: 0x2c,
  control: 0x3e,
} as const;

/** Memory windows are decoded in units of 1 MiB, I/O windows in units of 4 KiB. */
const MEMORY_UNIT = 0x10_0000;
const IO_UNIT = 0x1000;
/** The prefetchable window has 64 bits. */
const PREFETCH_64 = 1;
/** What software can write in bridge control. */
const CONTROL_MASK = [0xff, 0x0b];

export interface BridgeIdentity {
  name: string;
  vendor: number;
  device: number;
  revision: number;
  /** Subclass 4 of base class 6; the interface is 0. */
  classCode: number;
}

/** QEMU's bridges by name: identity as its devices have it. */
export const BRIDGES: Readonly<Record<string, Omit<BridgeIdentity, 'name'>>> = {
  'pci-bridge': { vendor: 0x1b36, device: 0x0001, revision: 0, classCode: 0x06_0400 },
  'pcie-root-port': { vendor: 0x1b36, device: 0x000c, revision: 0, classCode: 0x06_0400 },
  ioh3420: { vendor: 0x8086, device: 0x3420, revision: 2, classCode: 0x06_0400 },
  'pcie-pci-bridge': { vendor: 0x1b36, device: 0x000e, revision: 0, classCode: 0x06_0400 },
};

/** Root ports come out of a reset with their windows shut (base above limit); a bridge's are at address 0. */
const SHUT = new Set([0x000c, 0x3420]);

/** One window: while it is open, what lies in it is the bus' behind. */
class Window implements RegisterRange {
  readonly name: string;
  readonly #behind: AddressSpace;
  #base = 0;
  size = 0;

  constructor(name: string, behind: AddressSpace) {
    this.name = name;
    this.#behind = behind;
  }

  /** Opens it from `base` up to `limit`, both included, or shuts it when `limit` is below `base`. */
  set(space: AddressSpace, base: number, limit: number): void {
    space.unmap(this);
    this.#base = base;
    this.size = limit - base + 1;
    if (limit >= base) space.map(base, this);
  }

  decodes(offset: number, size: AccessSize): boolean {
    return this.#behind.decodes(this.#base + offset, size);
  }
  read(offset: number, size: AccessSize): number {
    return this.#behind.read(this.#base + offset, size);
  }
  write(offset: number, size: AccessSize, value: number): void {
    this.#behind.write(this.#base + offset, size, value);
  }
}

export class PciBridge extends PciFunction implements PciBridgeFunction {
  readonly secondary: PciBus;
  /** The address spaces of the bus behind it. */
  readonly behind: { readonly memory: AddressSpace; readonly io: AddressSpace };
  readonly #spaces: { memory: AddressSpace; io: AddressSpace };
  readonly #view = new DataView(this.config.buffer);
  readonly #shut: boolean;
  readonly #windows: { io: Window; memory: Window; prefetch: Window };

  /** `memory` and `io` are the address spaces of the bus that it will sit on. */
  constructor(identity: BridgeIdentity, memory: AddressSpace, io: AddressSpace) {
    super({ ...identity, subsystemVendor: 0, subsystem: 0, interruptPin: 0 });
    this.#spaces = { memory, io };
    const behind = { memory: new AddressSpace(), io: new AddressSpace() };
    this.behind = behind;
    const { name } = identity;
    this.#windows = {
      io: new Window(`${name} I/O window`, behind.io),
      memory: new Window(`${name} memory window`, behind.memory),
      prefetch: new Window(`${name} prefetchable window`, behind.memory),
    };
    this.secondary = new PciBus(behind.memory, behind.io, 0, {
      // Pins are swizzled on their way through (section 9.1).
      route: (slot, pin) => this.interruptAt((slot + pin) & 3),
      number: () => this.busNumbers.secondary,
    });
    this.config[PCI.headerType] = 1;
    this.#shut = SHUT.has(identity.device);
    this.#resetWindows();
    this.setWritable(BRIDGE.primaryBus, [0xff, 0xff, 0xff, 0xff, 0xf0, 0xf0, 0, 0]);
    this.setWritable(BRIDGE.memoryBase, [0xf0, 0xff, 0xf0, 0xff, 0xf0, 0xff, 0xf0, 0xff]);
    this.setWritable(BRIDGE.prefetchBaseUpper, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    this.setWritable(BRIDGE.control, CONTROL_MASK);
    this.watch(PCI.command, BRIDGE.prefetchLimitUpper + 4, { written: () => this.#decodeWindows() });
  }

  get busNumbers(): { secondary: number; subordinate: number } {
    return {
      secondary: this.config[BRIDGE.secondaryBus],
      subordinate: this.config[BRIDGE.subordinateBus],
    };
  }

  #decodeWindows(): void {
    const { memory, io } = this.#spaces;
    const on = { io: (this.command & COMMAND.io) !== 0, memory: (this.command & COMMAND.memory) !== 0 };
    const ioBase = (this.config[BRIDGE.ioBase] & 0xf0) << 8;
    const ioLimit = ((this.config[BRIDGE.ioLimit] & 0xf0) << 8) + IO_UNIT - 1;
    this.#windows.io.set(io, ioBase, on.io ? ioLimit : -1);
    const upper = (at: number): number => this.#view.getUint32(at, true) * 0x1_0000_0000;
    const base = this.#memoryAt(BRIDGE.memoryBase);
    const limit = this.#memoryAt(BRIDGE.memoryLimit) + MEMORY_UNIT - 1;
    this.#windows.memory.set(memory, base, on.memory ? limit : -1);
    const prefetchBase = this.#memoryAt(BRIDGE.prefetchBase) + upper(BRIDGE.prefetchBaseUpper);
    const prefetchLimit =
      this.#memoryAt(BRIDGE.prefetchLimit) + upper(BRIDGE.prefetchLimitUpper) + MEMORY_UNIT - 1;
    this.#windows.prefetch.set(memory, prefetchBase, on.memory ? prefetchLimit : -1);
  }

  /** The upper twelve bits of a 32-bit address. */
  #memoryAt(register: number): number {
    return (this.#view.getUint16(register, true) & 0xfff0) * 0x1_0000;
  }

  override reset(): void {
    super.reset();
    this.config.fill(0, BRIDGE.primaryBus, BRIDGE.ioLimit + 1);
    this.config.fill(0, BRIDGE.control, BRIDGE.control + 2);
    this.#resetWindows();
    this.#decodeWindows();
  }

  #resetWindows(): void {
    const base = this.#shut ? 0xfff0 : 0;
    this.config.fill(0, BRIDGE.memoryBase, BRIDGE.prefetchLimitUpper + 4);
    this.config[BRIDGE.ioBase] = base & 0xf0;
    this.#view.setUint16(BRIDGE.memoryBase, base, true);
    this.#view.setUint16(BRIDGE.prefetchBase, base | PREFETCH_64, true);
    this.config[BRIDGE.prefetchLimit] = PREFETCH_64;
  }
}

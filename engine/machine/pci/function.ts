/**
 * One PCI function: configuration space with its write masks, base address registers that can be sized and moved, the list of
 * capabilities. Reads and writes behave as QEMU's `pci_default_read_config` and `pci_default_write_config` (hw/pci/pci.c).
 */
import { PlatterError } from '../../errors.ts';
import { type AccessSize, type AddressSpace, allOnes, type RegisterRange } from '../address-space.ts';

/** Offsets in the header of type 0 (PCI 3.0, section 6.1). */
export const PCI = {
  vendor: 0x00,
  device: 0x02,
  command: 0x04,
  status: 0x06,
  revision: 0x08,
  classCode: 0x09,
  headerType: 0x0e,
  bar0: 0x10,
  subsystemVendor: 0x2c,
  subsystem: 0x2e,
  capabilities: 0x34,
  interruptLine: 0x3c,
  interruptPin: 0x3d,
} as const;

const HEADER_SIZE = 0x40;

export const COMMAND = { io: 1, memory: 2, master: 4, interruptDisable: 0x400 } as const;
const STATUS_CAPABILITIES = 0x10;
const STATUS_INTERRUPT = 0x08;

export interface PciIdentity {
  name: string;
  vendor: number;
  device: number;
  revision: number;
  /** 24 bits: base class, subclass, interface. */
  classCode: number;
  subsystemVendor: number;
  subsystem: number;
  /** 0 for none, 1 = INTA. */
  interruptPin: number;
}

export interface ConfigWatch {
  /** Called after a write. */
  written?(): void;
  /** Called before a read, to bring the bytes up to date. */
  beforeRead?(): void;
}

/** Where an interrupt pin arrives at the root bus: behind a bridge it is another slot's, and another pin. */
export interface PinRoute {
  slot: number;
  pin: number;
}

/** Where a function is plugged in: its slot, its number there, and the number of the bus, which is software's; 0 for the root bus. */
export interface PciPlace {
  slot: number;
  number: number;
  bus?: () => number;
}

interface Bar {
  index: number;
  kind: 'io' | 'mem32' | 'mem64';
  range: RegisterRange;
  /** Where it is mapped now. */
  base: number | undefined;
  moved: ((base: number | undefined) => void) | undefined;
}

export class PciFunction {
  readonly identity: PciIdentity;
  readonly config = new Uint8Array(256);
  readonly #view = new DataView(this.config.buffer);
  readonly #writable = new Uint8Array(256);
  readonly #bars: Bar[] = [];
  readonly #watches: { start: number; end: number; watch: ConfigWatch }[] = [];
  #spaces: { memory: AddressSpace; io: AddressSpace } | undefined;
  #route: (slot: number, pin: number) => PinRoute = (slot, pin) => ({ slot, pin });
  #place: PciPlace = { slot: 0, number: 0 };

  constructor(identity: PciIdentity) {
    this.identity = identity;
    this.#view.setUint16(PCI.vendor, identity.vendor, true);
    this.#view.setUint16(PCI.device, identity.device, true);
    this.config[PCI.revision] = identity.revision;
    this.config[PCI.classCode] = identity.classCode & 0xff;
    this.#view.setUint16(PCI.classCode + 1, identity.classCode >> 8, true);
    this.#view.setUint16(PCI.subsystemVendor, identity.subsystemVendor, true);
    this.#view.setUint16(PCI.subsystem, identity.subsystem, true);
    this.config[PCI.interruptPin] = identity.interruptPin;
    // As QEMU: what no capability has claimed can be written and read back.
    this.#writable.fill(0xff, HEADER_SIZE);
    this.#writable[PCI.interruptLine] = 0xff;
    this.#writable[0x0c] = 0xff;
    new DataView(this.#writable.buffer).setUint16(PCI.command, 0x0547, true);
  }

  /** Slot on its bus. */
  get slot(): number {
    return this.#place.slot;
  }
  /** Bus, slot and function as lspci writes them: `00:1f.2`. */
  get address(): string {
    const { slot, number, bus } = this.#place;
    const hex = (value: number): string => value.toString(16).padStart(2, '0');
    return `${hex(bus?.() ?? 0)}:${hex(slot)}.${number}`;
  }

  get command(): number {
    return this.#view.getUint16(PCI.command, true);
  }

  /** The interrupt status bit, which the function keeps for its INTx pin. */
  setInterruptStatus(level: boolean): void {
    const status = this.#view.getUint16(PCI.status, true);
    this.#view.setUint16(PCI.status, level ? status | STATUS_INTERRUPT : status & ~STATUS_INTERRUPT, true);
  }

  /**
   * Adds a base address register. `range.size` must be a power of two, at least 4 (I/O) or 16 (memory). `moved` hears where
   * the range went, or undefined when it is no longer decoded.
   */
  addBar(
    index: number,
    kind: Bar['kind'],
    prefetchable: boolean,
    range: RegisterRange,
    moved?: (base: number | undefined) => void,
  ): void {
    const flags = kind === 'io' ? 1 : (kind === 'mem64' ? 4 : 0) | (prefetchable ? 8 : 0);
    const at = PCI.bar0 + index * 4;
    this.#view.setUint32(at, flags, true);
    const mask = new DataView(this.#writable.buffer);
    mask.setUint32(at, ~(range.size - 1) >>> 0, true);
    if (kind === 'mem64') mask.setUint32(at + 4, 0xffff_ffff, true);
    this.#bars.push({ index, kind, range, base: undefined, moved });
  }

  /**
   * Adds a capability at `offset` and puts it in front of the list. `body` follows the two bytes of id and next pointer;
   * `writable` is a mask of the same length.
   */
  addCapability(offset: number, id: number, body: Uint8Array, writable?: Uint8Array): void {
    this.config[offset] = id;
    this.config[offset + 1] = this.config[PCI.capabilities];
    this.config.set(body, offset + 2);
    this.#writable.fill(0, offset, offset + 2 + body.length);
    if (writable !== undefined) this.#writable.set(writable, offset + 2);
    this.config[PCI.capabilities] = offset;
    this.#view.setUint16(PCI.status, this.#view.getUint16(PCI.status, true) | STATUS_CAPABILITIES, true);
  }

  /** Calls back around accesses that touch the bytes from `start` up to `end`. */
  watch(start: number, end: number, watch: ConfigWatch): void {
    this.#watches.push({ start, end, watch });
  }

  /** Connects the base address registers to the bus' address spaces; `route` is the way of its interrupt pins from there. */
  plug(
    place: PciPlace,
    memory: AddressSpace,
    io: AddressSpace,
    route?: (slot: number, pin: number) => PinRoute,
  ): void {
    this.#place = place;
    if (route !== undefined) this.#route = route;
    this.#spaces = { memory, io };
    this.#decode();
  }

  /** Where its interrupt pin (0 = INTA) arrives at the root bus. */
  interruptAt(pin = 0): PinRoute {
    return this.#route(this.slot, pin);
  }

  /** Lets software write the bits of `mask` in the bytes from `offset` on. */
  protected setWritable(offset: number, mask: readonly number[]): void {
    this.#writable.set(mask, offset);
  }

  /** Command, base addresses and interrupt line as after power-on; capabilities' own state belongs to their owners. */
  reset(): void {
    this.#view.setUint16(PCI.command, 0, true);
    this.setInterruptStatus(false);
    this.config[PCI.interruptLine] = 0;
    this.config[0x0c] = 0;
    for (const { index, kind } of this.#bars) {
      const at = PCI.bar0 + index * 4;
      this.#view.setUint32(at, this.#view.getUint32(at, true) & (kind === 'io' ? 3 : 15), true);
      if (kind === 'mem64') this.#view.setUint32(at + 4, 0, true);
    }
    this.#decode();
  }

  read(offset: number, size: AccessSize): number {
    if (offset + size > this.config.length) return allOnes(size);
    for (const { start, end, watch } of this.#watches) {
      if (offset < end && offset + size > start) watch.beforeRead?.();
    }
    if (size === 1) return this.config[offset];
    return size === 2 ? this.#view.getUint16(offset, true) : this.#view.getUint32(offset, true);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset + size > this.config.length) return;
    for (let i = 0; i < size; i++) {
      const mask = this.#writable[offset + i];
      this.config[offset + i] = (this.config[offset + i] & ~mask) | ((value >>> (i * 8)) & mask);
    }
    if (offset < PCI.subsystemVendor && offset + size > PCI.command) this.#decode();
    for (const { start, end, watch } of this.#watches) {
      if (offset < end && offset + size > start) watch.written?.();
    }
  }

  /** The address that a base address register holds, or undefined while it is not decoded. */
  #address(bar: Bar): number | undefined {
    if ((this.command & (bar.kind === 'io' ? COMMAND.io : COMMAND.memory)) === 0) return undefined;
    const at = PCI.bar0 + bar.index * 4;
    const low = (this.#view.getUint32(at, true) & ~(bar.range.size - 1)) >>> 0;
    const base = bar.kind === 'mem64' ? low + this.#view.getUint32(at + 4, true) * 0x1_0000_0000 : low;
    const last = base + bar.range.size - 1;
    // Sizing writes all ones: such an address, and address 0, is never decoded (hw/pci/pci.c, pci_bar_address).
    const limit = bar.kind === 'mem64' ? Number.MAX_SAFE_INTEGER : bar.kind === 'io' ? 0xffff : 0xffff_fffe;
    return base === 0 || last > limit ? undefined : base;
  }

  #decode(): void {
    if (this.#spaces === undefined) return;
    for (const bar of this.#bars) {
      const base = this.#address(bar);
      if (base === bar.base) continue;
      const space = bar.kind === 'io' ? this.#spaces.io : this.#spaces.memory;
      if (base === undefined) space.unmap(bar.range);
      else space.map(base, bar.range);
      bar.base = base;
      bar.moved?.(base);
    }
  }

  /** The base address registers in the order of their numbers, for the screen. */
  get bars(): { index: number; kind: Bar['kind']; size: number; name: string; base: number | undefined }[] {
    return this.#bars
      .map(({ index, kind, range, base }) => ({ index, kind, size: range.size, name: range.name, base }))
      .toSorted((a, b) => a.index - b.index);
  }

  /** Where base address register `index` is mapped now. */
  barBase(index: number): number | undefined {
    return this.#bars.find((bar) => bar.index === index)?.base;
  }

  /** Offset of the capability's configuration, for tests and drivers. Throws when it is not in the list. */
  requireCapability(id: number): number {
    for (let at = this.config[PCI.capabilities], left = 48; at !== 0 && left > 0; left--) {
      if (this.config[at] === id) return at;
      at = this.config[at + 1];
    }
    throw new PlatterError(
      'machine.no-capability',
      `${this.identity.name} has no PCI capability 0x${id.toString(16)}`,
      {
        field: 'capability',
        value: `0x${id.toString(16)}`,
      },
    );
  }
}

/** What firmware does before a driver comes: numbers the buses, sizes the base address registers and gives them addresses. */
import { PlatterError } from '../errors.ts';
import { BRIDGE } from '../machine/pci/bridge.ts';
import { COMMAND, PCI } from '../machine/pci/function.ts';
import type { GuestBus } from './bus.ts';

/** Where memory BARs are placed: in the PCI hole below the I/O APIC, as SeaBIOS does. */
const MEMORY_BASE = 0xfe00_0000;
const IO_BASE = 0xc000;

/** Slots of one bus: where a function lies is counted over all buses, bus number times this plus its slot. */
const SLOTS = 32;
/** What each bridge on the root bus gets for everything behind it, and its windows' units. */
const BRIDGE_MEMORY = 0x80_0000;
const MEMORY_UNIT = 0x10_0000;
const BRIDGE_IO = 0x1000;

/** From where on addresses are handed out on one bus, and where its window ends. */
interface Range {
  memory: number;
  memoryEnd: number;
  io: number;
  ioEnd: number;
}

export class Firmware {
  readonly #bus: GuestBus;
  /** By bus number. */
  readonly #ranges: Range[] = [{ memory: MEMORY_BASE, memoryEnd: 0xfec0_0000, io: IO_BASE, ioEnd: 0x1_0000 }];
  /** The bridges from the root down to each bus. */
  readonly #paths: number[][] = [[]];
  /** Windows of further bridges are opened below this. */
  #below = MEMORY_BASE;

  constructor(bus: GuestBus) {
    this.#bus = bus;
  }

  /**
   * Gives the bus behind the bridge in `slot` of bus `parent` the next number, and opens windows for what will lie there. Answers the
   * number.
   */
  openBridge(parent: number, slot: number): number {
    const bus = this.#bus;
    const number = this.#ranges.length;
    const where = parent * SLOTS + slot;
    bus.configWrite(where, BRIDGE.primaryBus, 1, parent);
    bus.configWrite(where, BRIDGE.secondaryBus, 1, number);
    for (const bridge of [where, ...this.#paths[parent]]) {
      bus.configWrite(bridge, BRIDGE.subordinateBus, 1, number);
    }
    const outer = this.#ranges[parent];
    // Half of what the bus has left, so that there is room for functions beside the bridge.
    const memoryBytes =
      parent === 0
        ? BRIDGE_MEMORY
        : Math.floor((outer.memoryEnd - outer.memory) / 2 / MEMORY_UNIT) * MEMORY_UNIT;
    const fits = parent !== 0 || outer.memory + memoryBytes <= outer.memoryEnd;
    const memory = fits ? this.#takeMemory(parent, memoryBytes, MEMORY_UNIT) : (this.#below -= memoryBytes);
    const io = parent === 0 ? this.#takeIo(parent, BRIDGE_IO) : outer.io;
    const ioEnd = parent === 0 ? io + BRIDGE_IO : outer.ioEnd;
    bus.configWrite(where, BRIDGE.memoryBase, 2, memory >>> 16);
    bus.configWrite(where, BRIDGE.memoryLimit, 2, (memory + memoryBytes - 1) >>> 16);
    bus.configWrite(where, BRIDGE.ioBase, 1, io >>> 8);
    bus.configWrite(where, BRIDGE.ioLimit, 1, (ioEnd - 1) >>> 8);
    // Nothing is prefetchable here: base above limit.
    bus.configWrite(where, BRIDGE.prefetchBase, 2, 0xfff0);
    bus.configWrite(where, BRIDGE.prefetchLimit, 2, 0);
    bus.configWrite(where, PCI.command, 2, COMMAND.io | COMMAND.memory | COMMAND.master);
    this.#ranges[number] = { memory, memoryEnd: memory + memoryBytes, io, ioEnd };
    this.#paths[number] = [...this.#paths[parent], where];
    return number;
  }

  /**
   * Assigns every BAR of the function in slot `where` (counted over all buses) and enables decoding and bus mastering. Answers
   * `where`.
   */
  assign(where: number): number {
    const bus = this.#bus;
    const number = Math.floor(where / SLOTS);
    for (let index = 0; index < 6; index++) {
      const at = PCI.bar0 + index * 4;
      const flags = bus.configRead(where, at, 4) & 15;
      bus.configWrite(where, at, 4, 0xffff_ffff);
      const answer = bus.configRead(where, at, 4);
      const io = (flags & 1) === 1;
      const mask = io ? answer & ~3 : answer & ~15;
      const size = (~mask + 1) >>> 0;
      if (mask !== 0) {
        bus.configWrite(where, at, 4, io ? this.#takeIo(number, size) : this.#takeMemory(number, size));
      }
      if (!io && (flags & 6) === 4) {
        bus.configWrite(where, at + 4, 4, 0);
        index++;
      }
    }
    bus.configWrite(where, PCI.command, 2, COMMAND.io | COMMAND.memory | COMMAND.master);
    return where;
  }

  /** Ports on the root bus for whoever is not looked for in slots: from `at` on, or as soon after that as there are any. */
  placeIo(at: number, bytes: number): number {
    const range = this.#ranges[0];
    range.io = Math.max(range.io, at);
    return this.#takeIo(0, bytes);
  }

  /** I/O sizes come with the upper half of the register unimplemented. */
  #takeIo(bus: number, size: number): number {
    const range = this.#ranges[bus];
    const bytes = size & 0xffff;
    const base = Math.ceil(range.io / bytes) * bytes;
    range.io = base + bytes;
    if (range.io > range.ioEnd) throw full('I/O', bus);
    return base;
  }

  #takeMemory(bus: number, size: number, unit = size): number {
    const range = this.#ranges[bus];
    const base = Math.ceil(range.memory / unit) * unit;
    range.memory = base + size;
    if (range.memory > range.memoryEnd) throw full('memory', bus);
    return base;
  }
}

function full(what: string, bus: number): PlatterError {
  return new PlatterError('guest.no-window', `PCI bus ${bus} has no ${what} addresses left`, {
    field: what,
    value: String(bus),
  });
}

/** What firmware does before a driver comes: sizes the base address registers and gives them addresses. */
import { COMMAND, PCI } from '../machine/pci/function.ts';
import type { GuestBus } from './bus.ts';

/** Where memory BARs are placed: in the PCI hole below the I/O APIC, as SeaBIOS does. */
const MEMORY_BASE = 0xfe00_0000;
const IO_BASE = 0xc000;

export class Firmware {
  readonly #bus: GuestBus;
  #memory = MEMORY_BASE;
  #io = IO_BASE;

  constructor(bus: GuestBus) {
    this.#bus = bus;
  }

  /** Assigns every BAR of the function in `slot` and enables decoding and bus mastering. */
  assign(slot: number): void {
    const bus = this.#bus;
    for (let index = 0; index < 6; index++) {
      const at = PCI.bar0 + index * 4;
      const flags = bus.configRead(slot, at, 4) & 15;
      bus.configWrite(slot, at, 4, 0xffff_ffff);
      const answer = bus.configRead(slot, at, 4);
      const io = (flags & 1) === 1;
      const mask = io ? answer & ~3 : answer & ~15;
      const size = (~mask + 1) >>> 0;
      if (mask !== 0) bus.configWrite(slot, at, 4, io ? this.#takeIo(size) : this.#takeMemory(size));
      if (!io && (flags & 6) === 4) {
        bus.configWrite(slot, at + 4, 4, 0);
        index++;
      }
    }
    bus.configWrite(slot, PCI.command, 2, COMMAND.io | COMMAND.memory | COMMAND.master);
  }

  /** I/O sizes come with the upper half of the register unimplemented. */
  #takeIo(size: number): number {
    const bytes = size & 0xffff;
    const base = Math.ceil(this.#io / bytes) * bytes;
    this.#io = base + bytes;
    return base;
  }

  #takeMemory(size: number): number {
    const base = Math.ceil(this.#memory / size) * size;
    this.#memory = base + size;
    return base;
  }
}

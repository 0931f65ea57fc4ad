/** The MSI-X table of a PCI function as the guest's kernel fills it (PCI 3.0, section 6.8.2; virtio 1.2, section 4.1.5.1.2). */
import { PCI } from '../machine/pci/function.ts';
import type { FunctionVectors } from './apic-vectors.ts';
import type { GuestBus } from './bus.ts';

/** Local APIC of CPU 0; bits 12–19 say which CPU. */
const APIC_ADDRESS = 0xfee0_0000;
const APIC_SHIFT = 12;
const ENABLE = 0x8000;

/** Where a memory BAR was put. */
export function barAddress(bus: GuestBus, slot: number, index: number): number {
  const low = bus.configRead(slot, PCI.bar0 + index * 4, 4);
  const high = (low & 6) === 4 ? bus.configRead(slot, PCI.bar0 + index * 4 + 4, 4) : 0;
  return ((low & ~15) >>> 0) + high * 0x1_0000_0000;
}

export class MsixTable {
  /** Entries of the table. */
  readonly entries: number;
  readonly #bus: GuestBus;
  readonly #slot: number;
  readonly #capability: number;
  readonly #table: number;
  /** For each entry the CPU that it goes to and the vector of that CPU's local APIC. */
  readonly #targets: { cpu: number; vector: number }[] = [];

  /** `capability`: offset of the MSI-X capability of the function in `slot`. */
  constructor(bus: GuestBus, slot: number, capability: number) {
    this.#bus = bus;
    this.#slot = slot;
    this.#capability = capability;
    this.entries = (bus.configRead(slot, capability + 2, 2) & 0x7ff) + 1;
    const table = bus.configRead(slot, capability + 4, 4);
    this.#table = barAddress(bus, slot, table & 7) + ((table & ~7) >>> 0);
  }

  /** The entry of a queue: its own when there are enough, else one for all. Entry 0 is for the configuration. */
  entryOf(queue: number): number {
    return queue + 1 < this.entries ? queue + 1 : this.entries - 1;
  }

  /** Whether the local APIC's vector on this CPU is the one of the queue's entry. */
  isFor(queue: number, cpu: number, vector: number): boolean {
    const target = this.#targets[this.entryOf(queue)];
    return target?.cpu === cpu && target.vector === vector;
  }

  /** Fills the table and turns it on. `cpuOf` says which CPU a queue's interrupts go to; a shared entry goes to CPU 0. */
  enable(cpuOf: (queue: number) => number, vectors: FunctionVectors): void {
    for (let entry = 0; entry < this.entries; entry++) {
      const cpu = entry === 0 || this.entries < 3 ? 0 : cpuOf(entry - 1);
      const vector = vectors.of(entry, cpu);
      this.#targets[entry] = { cpu, vector };
      const at = this.#table + entry * 16;
      this.#bus.write(at, 4, APIC_ADDRESS + cpu * 2 ** APIC_SHIFT);
      this.#bus.write(at + 4, 4, 0);
      this.#bus.write(at + 8, 4, vector);
      this.#bus.write(at + 12, 4, 0);
    }
    this.#bus.configWrite(this.#slot, this.#capability + 2, 2, ENABLE | (this.entries - 1));
  }
}

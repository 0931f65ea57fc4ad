/**
 * The interrupt controllers of the simulated PC: a local APIC for each virtual CPU, one I/O APIC for the lines, and the pair of 8259A
 * that the kernel masks. A message's address says which CPU it is for; a line's entry in the I/O APIC, which the guest's kernel writes,
 * says it for the line.
 */
import { IoApic, IOAPIC, IOAPIC_BASE, IOAPIC_PINS, IOAPIC_REGISTER, REDIRECTION } from '../machine/ioapic.ts';
import { isMsiAddress, type GsiSink } from '../machine/interrupts.ts';
import type { AddressSpace } from '../machine/address-space.ts';
import { LocalApic } from '../machine/local-apic.ts';
import { Pic, PIC_PORT } from '../machine/pic.ts';
import type { GuestBus } from './bus.ts';

/** Intel SDM volume 3, section 11.11.1: bits 12–19 of a message's address are the local APIC's id. */
const DESTINATION = 12;
/** The simulated kernel gives line n this vector plus n, above those of messages. */
const FIRST_LINE_VECTOR = 0xd0;
/** Lines of the ISA bus are edge-triggered, those of PCI level-triggered and active low, unless they share ISA's. */
const ISA_LINES = 16;

export class LocalApics implements GsiSink {
  /** One for each virtual CPU. */
  readonly controllers: readonly LocalApic[];
  readonly ioapic: IoApic;
  readonly pic: Pic;
  readonly #requests = new Uint32Array(IOAPIC_PINS);

  constructor(cpus: number) {
    this.ioapic = new IoApic((address, data, pin) =>
      this.#cpu(address)?.fromLine(data & REDIRECTION.vector, pin, this.#requests[pin]),
    );
    // Its wire to the CPU is left open: the kernel masks all its lines.
    this.pic = new Pic(() => undefined);
    this.controllers = Array.from({ length: cpus }, () => {
      const apic = new LocalApic();
      apic.onEnd = (vector) => this.ioapic.endOfInterrupt(vector);
      return apic;
    });
  }

  /** A message for a CPU that does not exist is lost, as on a real bus. */
  #cpu(address: number): LocalApic | undefined {
    const cpu = isMsiAddress(address) ? Math.floor(address / 2 ** DESTINATION) & 0xff : 0;
    return this.controllers[cpu];
  }

  message(address: number, data: number, requestId: number): void {
    this.#cpu(address)?.message(address, data, requestId);
  }

  gsi(gsi: number, level: boolean, requestId: number): void {
    if (level) this.#requests[gsi] = requestId;
    this.ioapic.set(gsi, level);
    if (gsi < ISA_LINES) this.pic.set(gsi, level);
  }

  map(memory: AddressSpace, io: AddressSpace): void {
    memory.map(IOAPIC_BASE, this.ioapic);
    this.pic.map(io);
  }

  /** The kernel leaves the 8259A for the I/O APIC (Linux's `mask_8259A`). */
  maskPic(bus: GuestBus): void {
    for (const port of [PIC_PORT.first, PIC_PORT.second]) bus.inKernelOut(port + 1, 0xff);
  }

  /** The kernel asks for a line (Linux's `request_irq`): writes its entry, for CPU 0. `level`: a line of PCI. */
  requestLine(bus: GuestBus, gsi: number, level: boolean): void {
    const entry = (FIRST_LINE_VECTOR + gsi) | (level ? REDIRECTION.level : 0);
    const polarity = level && gsi >= ISA_LINES ? REDIRECTION.activeLow : 0;
    const register = IOAPIC_REGISTER.table + gsi * 2;
    for (const [number, value] of [
      [register + 1, 0],
      [register, entry | polarity],
    ]) {
      bus.inKernelWrite(IOAPIC_BASE + IOAPIC.select, number);
      bus.inKernelWrite(IOAPIC_BASE + IOAPIC.window, value);
    }
  }
}

/**
 * The interrupt controllers of the simulated PC: a local APIC for each virtual CPU, one I/O APIC for the lines, and the pair of 8259A
 * that the kernel masks. A message's address says which CPU it is for; a line's entry in the I/O APIC, which the guest's kernel writes,
 * says it for the line.
 */
import { IoApic, IOAPIC, IOAPIC_BASE, IOAPIC_PINS, IOAPIC_REGISTER, REDIRECTION } from '../machine/ioapic.ts';
import { isMsiAddress, type GsiSink } from '../machine/interrupts.ts';
import type { AddressSpace } from '../machine/address-space.ts';
import { LocalApic, LOWEST_PRIORITY, MESSAGE } from '../machine/local-apic.ts';
import { Pic, PIC_PORT } from '../machine/pic.ts';
import type { GuestBus } from './bus.ts';

/** Intel SDM volume 3, section 11.11.1: the address of a message names the local APIC by its id, or several by a logical number. */
const DESTINATION_SHIFT = 12;
const EVERYBODY = 0xff;
const MODE_LOGICAL = 4;
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
    this.ioapic = new IoApic((address, data, pin) => this.#send(address, data, this.#requests[pin], pin));
    // Its wire to the CPU is left open: the kernel masks all its lines.
    this.pic = new Pic(() => undefined);
    this.controllers = Array.from({ length: cpus }, () => {
      const apic = new LocalApic();
      apic.onEnd = (vector) => this.ioapic.endOfInterrupt(vector);
      return apic;
    });
  }

  message(address: number, data: number, requestId: number): void {
    this.#send(address, data, requestId);
  }

  /**
   * A message for nobody is lost, as on a real bus: to another address, to a CPU that does not exist, to a logical number, of which the
   * simulated kernel gives its CPUs none.
   */
  #send(address: number, data: number, requestId: number, gsi?: number): void {
    if (!isMsiAddress(address) || (address & MODE_LOGICAL) !== 0) return;
    const destination = (address >>> DESTINATION_SHIFT) & 0xff;
    // Of all, the lowest priority is the first one's, as in QEMU (`apic_bus_deliver`).
    const one = (data & MESSAGE.deliveryMode) === LOWEST_PRIORITY ? 0 : undefined;
    const to = destination === EVERYBODY ? one : destination;
    if (to !== undefined) this.controllers[to]?.message(data, requestId, gsi);
    else for (const controller of this.controllers) controller.message(data, requestId, gsi);
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

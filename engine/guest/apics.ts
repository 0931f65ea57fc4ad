/** The local APICs of the virtual CPUs: a message's address says which one it is for, lines go to the first. */
import {
  InterruptController,
  isMsiAddress,
  type InterruptSink,
  type IsaInterruptSink,
} from '../machine/interrupts.ts';

/** Intel SDM volume 3, section 11.11.1: bits 12–19 of a message's address are the local APIC's id. */
const DESTINATION = 12;

export class LocalApics implements InterruptSink, IsaInterruptSink {
  /** One for each virtual CPU. */
  readonly controllers: readonly InterruptController[];

  constructor(cpus: number) {
    this.controllers = Array.from({ length: cpus }, () => new InterruptController());
  }

  message(address: number, data: number, requestId: number): void {
    const cpu = isMsiAddress(address) ? Math.floor(address / 2 ** DESTINATION) & 0xff : 0;
    // A message for a CPU that does not exist is lost, as on a real bus.
    this.controllers[cpu]?.message(address, data, requestId);
  }

  line(slot: number, pin: number, level: boolean, requestId: number): void {
    this.controllers[0].line(slot, pin, level, requestId);
  }

  isa(irq: number, level: boolean, requestId: number): void {
    this.controllers[0].isa(irq, level, requestId);
  }
}

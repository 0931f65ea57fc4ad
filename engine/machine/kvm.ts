/** KVM's part of an interrupt: messages and line changes arrive here, are routed one at a time, and become pending on the CPU. */
import { E } from '../trace/registry.ts';
import { highWord, type TraceRing } from '../trace/ring.ts';
import type { GsiSink, InterruptSink, IsaInterruptSink, PciRouting } from './interrupts.ts';

interface Message {
  /** The line's number at the I/O APIC, or -1 for a message. */
  gsi: number;
  address: number;
  data: number;
  requestId: number;
}

export class Kvm implements InterruptSink, IsaInterruptSink {
  readonly #trace: TraceRing;
  readonly #sink: GsiSink;
  readonly #routing: PciRouting;
  readonly #queue: Message[] = [];
  readonly #spare: Message[] = [];

  constructor(trace: TraceRing, sink: GsiSink, routing: PciRouting) {
    this.#trace = trace;
    this.#sink = sink;
    this.#routing = routing;
  }

  message(address: number, data: number, requestId: number): void {
    this.#add(-1, address, data, requestId);
  }

  line(slot: number, pin: number, level: boolean, requestId: number): void {
    this.isa(this.#routing(slot, pin), level, requestId);
  }

  /** Lowering is an answer to the CPU's own access and takes effect at once. */
  isa(irq: number, level: boolean, requestId: number): void {
    if (level) this.#add(irq, 0, 0, requestId);
    else this.#sink.gsi(irq, false, requestId);
  }

  #add(gsi: number, address: number, data: number, requestId: number): void {
    const entry = this.#spare.pop() ?? { gsi, address, data, requestId };
    entry.gsi = gsi;
    entry.address = address;
    entry.data = data;
    entry.requestId = requestId;
    this.#queue.push(entry);
  }

  /** Routes one interrupt; false when there is none. */
  step(): boolean {
    const entry = this.#queue.shift();
    if (entry === undefined) return false;
    const { gsi, address, data, requestId } = entry;
    if (gsi >= 0) {
      this.#trace.emit(E.kvm_set_irq, requestId, gsi, 1, 0, 0);
      this.#sink.gsi(gsi, true, requestId);
    } else {
      this.#trace.emit(E.kvm_msi_set_irq, requestId, address >>> 0, highWord(address), data, 0);
      this.#sink.message(address, data, requestId);
    }
    this.#spare.push(entry);
    return true;
  }
}

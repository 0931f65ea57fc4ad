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
  /** A line of PCI, which is lowered again before it is routed when nobody asks for it any more. */
  shared: boolean;
}

const LINES = 24;

export class Kvm implements InterruptSink, IsaInterruptSink {
  readonly #trace: TraceRing;
  readonly #sink: GsiSink;
  readonly #routing: PciRouting;
  /** The thread of QEMU's that runs now: what it raises is routed when it goes on, not before. */
  thread = 0;
  /** By thread. */
  readonly #queues: Message[][] = [];
  readonly #spare: Message[] = [];
  /** By line of the I/O APIC: how many functions of PCI hold it up now. */
  readonly #holders = new Uint16Array(LINES);

  constructor(trace: TraceRing, sink: GsiSink, routing: PciRouting) {
    this.#trace = trace;
    this.#sink = sink;
    this.#routing = routing;
  }

  message(address: number, data: number, requestId: number): void {
    this.#add(-1, address, data, requestId);
  }

  /** Functions share the line, which is up while one of them holds it up (PCI 3.0, section 2.2.6). Each tells of its own changes. */
  line(slot: number, pin: number, level: boolean, requestId: number): void {
    const gsi = this.#routing(slot, pin);
    const holders = this.#holders;
    holders[gsi] = Math.max(0, holders[gsi] + (level ? 1 : -1));
    if (level) this.#add(gsi, 0, 0, requestId).shared = true;
    else if (holders[gsi] === 0) this.#sink.gsi(gsi, false, requestId);
  }

  /** Lowering is an answer to the CPU's own access and takes effect at once. */
  isa(irq: number, level: boolean, requestId: number): void {
    if (level) this.#add(irq, 0, 0, requestId);
    else this.#sink.gsi(irq, false, requestId);
  }

  #add(gsi: number, address: number, data: number, requestId: number): Message {
    const entry = this.#spare.pop() ?? { gsi, address, data, requestId, shared: false };
    entry.gsi = gsi;
    entry.address = address;
    entry.data = data;
    entry.requestId = requestId;
    entry.shared = false;
    (this.#queues[this.thread] ??= []).push(entry);
    return entry;
  }

  /** Routes one interrupt of the present thread; false when there is none. */
  step(): boolean {
    const entry = this.#queues[this.thread]?.shift();
    if (entry === undefined) return false;
    const { gsi, address, data, requestId, shared } = entry;
    this.#spare.push(entry);
    if (shared && this.#holders[gsi] === 0) return this.step();
    if (gsi >= 0) {
      this.#trace.emit(E.kvm_set_irq, requestId, gsi, 1, 0, 0);
      this.#sink.gsi(gsi, true, requestId);
    } else {
      this.#trace.emit(E.kvm_msi_set_irq, requestId, address >>> 0, highWord(address), data, 0);
      this.#sink.message(address, data, requestId);
    }
    return true;
  }
}

/** KVM's part of an interrupt: messages and line changes arrive here, are routed one at a time, and become pending on the CPU. */
import { E } from '../trace/registry.ts';
import { highWord, type TraceRing } from '../trace/ring.ts';
import type { InterruptSink, IsaInterruptSink } from './interrupts.ts';

const MESSAGE = 0;
const LINE = 1;
const ISA = 2;

interface Message {
  kind: number;
  /** Address and data of a message; slot and pin of a line; the number of an ISA line. */
  a: number;
  b: number;
  level: boolean;
  requestId: number;
}

export class Kvm implements InterruptSink, IsaInterruptSink {
  readonly #trace: TraceRing;
  readonly #interrupts: InterruptSink & IsaInterruptSink;
  readonly #queue: Message[] = [];
  readonly #spare: Message[] = [];

  constructor(trace: TraceRing, interrupts: InterruptSink & IsaInterruptSink) {
    this.#trace = trace;
    this.#interrupts = interrupts;
  }

  message(address: number, data: number, requestId: number): void {
    this.#add(MESSAGE, address, data, true, requestId);
  }

  /** Lowering is an answer to the CPU's own access and takes effect at once. */
  line(slot: number, pin: number, level: boolean, requestId: number): void {
    if (level) this.#add(LINE, slot, pin, level, requestId);
    else this.#interrupts.line(slot, pin, level, requestId);
  }

  isa(irq: number, level: boolean, requestId: number): void {
    if (level) this.#add(ISA, irq, 0, level, requestId);
    else this.#interrupts.isa(irq, level, requestId);
  }

  #add(kind: number, a: number, b: number, level: boolean, requestId: number): void {
    const entry = this.#spare.pop() ?? { kind, a, b, level, requestId };
    entry.kind = kind;
    entry.a = a;
    entry.b = b;
    entry.level = level;
    entry.requestId = requestId;
    this.#queue.push(entry);
  }

  /** Routes one interrupt; false when there is none. */
  step(): boolean {
    const entry = this.#queue.shift();
    if (entry === undefined) return false;
    const { kind, a, b, level, requestId } = entry;
    if (kind === ISA) {
      this.#trace.emit(E.kvm_set_irq, requestId, a, 1, 0, 0);
      this.#interrupts.isa(a, level, requestId);
    } else if (kind === LINE) {
      this.#trace.emit(E.kvm_set_irq, requestId, (a + b) & 3, 1, 0, 0);
      this.#interrupts.line(a, b, level, requestId);
    } else {
      this.#trace.emit(E.kvm_msi_set_irq, requestId, a >>> 0, highWord(a), b, 0);
      this.#interrupts.message(a, b, requestId);
    }
    this.#spare.push(entry);
    return true;
  }
}

/**
 * The interrupts of a virtual CPU and their handlers: a vector is one driver's, a line may be several drivers', and then all of them are
 * asked one after the other (Linux's `__handle_irq_event_percpu`).
 */
import type { PendingInterrupt } from '../machine/interrupts.ts';
import type { LocalApic } from '../machine/local-apic.ts';
import { E } from '../trace/registry.ts';
import type { TraceRing } from '../trace/ring.ts';
import type { DriverThread, GuestDriver } from './driver.ts';
import type { HardwareQueue, SoftwareQueue } from './hardware-queue.ts';
import type { GuestKernel } from './kernel.ts';

interface Handler {
  driver: GuestDriver;
  thread: DriverThread;
  queues: readonly HardwareQueue[];
}

export class InterruptHandlers {
  readonly #cpu: number;
  readonly #wake: (cpu: number) => void;
  readonly #trace: TraceRing;
  readonly #apic: LocalApic;
  readonly #handlers: readonly Handler[];
  #at = 0;
  /** The interrupt that is being handled. */
  #irq: PendingInterrupt | undefined;

  constructor(
    cpu: number,
    kernel: GuestKernel,
    apic: LocalApic,
    threads: ReadonlyMap<GuestDriver, DriverThread>,
  ) {
    this.#cpu = cpu;
    this.#wake = kernel.wake;
    this.#trace = kernel.trace;
    this.#apic = apic;
    this.#handlers = [...threads].map(([driver, thread]) => ({
      driver,
      thread,
      queues: kernel.queuesOf(driver),
    }));
  }

  get anyPending(): boolean {
    return this.#apic.anyPending;
  }
  get inInterrupt(): boolean {
    return this.#irq !== undefined;
  }

  /**
   * Takes the interrupt that is next, and chooses its first handler. One that nobody has asked for is looked at by the first driver.
   * False when none is pending.
   */
  inject(): boolean {
    const irq = this.#apic.take();
    if (irq === undefined) return false;
    this.#irq = irq;
    this.#at = -1;
    if (!this.#next(irq)) this.#at = 0;
    this.#trace.emit(E.kvm_inj_virq, irq.requestId, irq.vector, 0, 0, 0);
    return true;
  }

  /** Chooses the next handler of the same interrupt; false when there is none. */
  #next(irq: PendingInterrupt): boolean {
    const handlers = this.#handlers;
    for (let at = this.#at + 1; at < handlers.length; at++) {
      if (!handlers[at].driver.handles(irq, this.#cpu)) continue;
      this.#at = at;
      return true;
    }
    return false;
  }

  /** Begins the handler that was chosen. */
  enter(): true {
    const irq = this.#irq;
    if (irq !== undefined) this.#handlers[this.#at].thread.interrupt(irq);
    return this.#emit(E.irq_handler_entry, irq);
  }
  /** Does one thing of the handler; false when it is done. */
  step(): boolean {
    return this.#handlers[this.#at].thread.step();
  }

  /** The handler is done: queues of its driver that had no room are tried again. Answers what this CPU is to hand over at once. */
  restart(): SoftwareQueue | undefined {
    let own: SoftwareQueue | undefined;
    for (const queue of this.#handlers[this.#at].queues) {
      if (!queue.stopped) continue;
      const first = queue.restart(this.#cpu, this.#wake);
      own ??= first;
    }
    return own;
  }

  /** The handler is over, and with the last one the interrupt. Whether another one of the same interrupt is to be entered. */
  exit(): boolean {
    const irq = this.#irq;
    const more = irq !== undefined && this.#next(irq);
    if (!more) {
      if (irq !== undefined) this.#apic.end();
      this.#irq = undefined;
    }
    this.#emit(E.irq_handler_exit, irq);
    return more;
  }

  #emit(event: number, irq: PendingInterrupt | undefined): true {
    this.#trace.emit(event, irq?.requestId ?? 0, irq?.gsi ?? irq?.vector ?? 0, 0, 0, 0);
    return true;
  }
}

/**
 * The interrupt handlers of a virtual CPU: a vector is one driver's, a line may be several drivers', and then all of them are asked one
 * after the other (Linux's `__handle_irq_event_percpu`).
 */
import type { PendingInterrupt } from '../machine/interrupts.ts';
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
  readonly #handlers: readonly Handler[];
  #at = 0;

  constructor(cpu: number, kernel: GuestKernel, threads: ReadonlyMap<GuestDriver, DriverThread>) {
    this.#cpu = cpu;
    this.#wake = kernel.wake;
    this.#handlers = [...threads].map(([driver, thread]) => ({
      driver,
      thread,
      queues: kernel.queuesOf(driver),
    }));
  }

  /** An interrupt has come: chooses its first handler. One that nobody has asked for is looked at by the first driver. */
  begin(irq: PendingInterrupt): void {
    this.#at = -1;
    if (!this.next(irq)) this.#at = 0;
  }

  /** Chooses the next handler of the same interrupt; false when there is none. */
  next(irq: PendingInterrupt): boolean {
    const handlers = this.#handlers;
    for (let at = this.#at + 1; at < handlers.length; at++) {
      if (!handlers[at].driver.handles(irq, this.#cpu)) continue;
      this.#at = at;
      return true;
    }
    return false;
  }

  enter(irq: PendingInterrupt): void {
    this.#handlers[this.#at].thread.interrupt(irq);
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
}

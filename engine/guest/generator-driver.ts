/** A base for drivers that are written as straight code: generators that yield after each event (or each thing that can be seen). */
import type { PendingInterrupt } from '../machine/interrupts.ts';
import type { BlockRequest } from './block-request.ts';
import {
  queueOfCpu,
  type DriverCpu,
  type DriverLimits,
  type DriverThread,
  type GuestDriver,
} from './driver.ts';
import type { Steps } from './register-access.ts';

export abstract class GeneratorDriver implements GuestDriver {
  abstract readonly name: string;
  abstract readonly limits: DriverLimits;
  #cpus = 1;

  /** Calls `find`, which initialises the device. */
  probe(cpus: number): void {
    this.#cpus = cpus;
    this.find(cpus);
  }
  queueOf(cpu: number, _unit: number): number {
    return queueOfCpu(cpu, this.#cpus, this.limits.queues);
  }
  thread(cpu: DriverCpu): DriverThread {
    return new GeneratorThread(this, cpu);
  }

  /** See `GuestDriver`. */
  abstract handles(irq: PendingInterrupt, cpu: number): boolean;
  /** See `GuestDriver.probe`. */
  protected abstract find(cpus: number): void;
  /** See `DriverThread`. */
  abstract hasRoom(queue: number, request: BlockRequest): boolean;
  abstract submitSteps(cpu: DriverCpu, queue: number, request: BlockRequest): Steps;
  abstract interruptSteps(cpu: DriverCpu, irq: PendingInterrupt): Steps;
  /** Most drivers have started the request already when they have taken it. */
  *commitSteps(_cpu: DriverCpu, _queue: number): Steps {
    // Nothing was put off.
  }
}

class GeneratorThread implements DriverThread {
  readonly #driver: GeneratorDriver;
  readonly #cpu: DriverCpu;
  #steps: Steps | undefined;

  constructor(driver: GeneratorDriver, cpu: DriverCpu) {
    this.#driver = driver;
    this.#cpu = cpu;
  }

  hasRoom(queue: number, request: BlockRequest): boolean {
    return this.#driver.hasRoom(queue, request);
  }
  submit(queue: number, request: BlockRequest): void {
    this.#steps = this.#driver.submitSteps(this.#cpu, queue, request);
  }
  commit(queue: number): void {
    this.#steps = this.#driver.commitSteps(this.#cpu, queue);
  }
  interrupt(irq: PendingInterrupt): void {
    this.#steps = this.#driver.interruptSteps(this.#cpu, irq);
  }

  step(): boolean {
    if (this.#steps === undefined) return false;
    if (this.#steps.next().done !== true) return true;
    this.#steps = undefined;
    return false;
  }
}

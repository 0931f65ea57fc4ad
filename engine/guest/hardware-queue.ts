/**
 * The two levels of queues below a disk (Linux's blk-mq): each virtual CPU collects requests for each disk, and hands them to a
 * hardware queue. Disks of one controller share its hardware queues: whoever found no room waits with all the others.
 */
import type { BlockLayer } from './block-layer.ts';
import type { GuestDisk } from './disk.ts';
import type { DriverThread } from './driver.ts';

const NOBODY = -1;

export class HardwareQueue {
  /** Its number at the driver. */
  readonly index: number;
  /** Its driver had no room; it is asked again after a completion. */
  stopped = false;
  /** Everybody who hands requests to it. */
  readonly feeders: SoftwareQueue[] = [];
  /** The CPU that is handing a request over; CPUs that wait for that. */
  #holder = NOBODY;
  readonly #waiters: number[] = [];
  /** Who handed the last request over. */
  #served: SoftwareQueue | undefined;
  /** The CPU whose disk goes next, before any other. */
  #next = NOBODY;

  constructor(index: number) {
    this.index = index;
  }

  /**
   * Takes the queue's lock (the driver's `vq->lock`) for a CPU. False while another CPU hands a request over: this one is woken when
   * it may try again.
   */
  lock(cpu: number): boolean {
    if (this.#holder === NOBODY || this.#holder === cpu) {
      if (this.#next === cpu) this.#openToAll();
      this.#holder = cpu;
      return true;
    }
    this.#await(cpu);
    return false;
  }
  #await(cpu: number): void {
    if (!this.#waiters.includes(cpu)) this.#waiters.push(cpu);
  }
  #openToAll(): void {
    for (const feeder of this.feeders)
      if (feeder.cpu !== this.#next && feeder.isWaiting) this.#await(feeder.cpu);
    this.#next = NOBODY;
  }
  /** Whether a CPU may hand over a request now: there may be room, and it is nobody else's turn. */
  isOpenTo(cpu: number): boolean {
    return !this.stopped && (this.#next === NOBODY || this.#next === cpu);
  }
  unlock(wake: (cpu: number) => void): void {
    this.#holder = NOBODY;
    for (const cpu of this.#waiters) wake(cpu);
    this.#waiters.length = 0;
  }

  /** The driver takes a request of this one. */
  served(feeder: SoftwareQueue): void {
    this.#served = feeder;
  }

  /**
   * A completion made room: whoever waits for it is woken. Answers what `cpu` itself is to hand over at once. Disks take turns, as
   * on the SCSI layer's list of starved devices: while another disk waits, the one that was served last does not go first.
   */
  restart(cpu: number, wake: (cpu: number) => void): SoftwareQueue | undefined {
    this.stopped = false;
    const turn = this.#turn();
    if (turn !== undefined) this.#next = turn.cpu;
    let own: SoftwareQueue | undefined;
    for (const feeder of this.feeders) {
      if (feeder.cpu !== cpu) wake(feeder.cpu);
      else if (own === undefined && feeder.isWaiting && (turn === undefined || turn === feeder)) {
        own = feeder;
      }
    }
    return own;
  }

  /** Who goes next, for another disk than the last; undefined when only one disk has something to do. */
  #turn(): SoftwareQueue | undefined {
    const { feeders } = this;
    const served = this.#served;
    if (served === undefined) return undefined;
    const at = feeders.indexOf(served);
    for (let i = 1; i < feeders.length; i++) {
      const feeder = feeders[(at + i) % feeders.length];
      const { disk, isWaiting } = feeder;
      if (disk !== served.disk && isWaiting && disk.hasBudget) return feeder;
    }
    return undefined;
  }
}

/** The way of one virtual CPU to one disk. */
export class SoftwareQueue {
  readonly disk: GuestDisk;
  readonly cpu: number;
  readonly layer: BlockLayer;
  /** The driver's code on this CPU. */
  readonly thread: DriverThread;
  readonly hardware: HardwareQueue;

  constructor(
    disk: GuestDisk,
    cpu: number,
    layer: BlockLayer,
    thread: DriverThread,
    hardware: HardwareQueue,
  ) {
    this.disk = disk;
    this.cpu = cpu;
    this.layer = layer;
    this.thread = thread;
    this.hardware = hardware;
    hardware.feeders.push(this);
  }

  get isWaiting(): boolean {
    return this.layer.waiting.length > 0;
  }
  get isOpen(): boolean {
    return this.hardware.isOpenTo(this.cpu) && this.disk.hasBudget;
  }
  /** Something waits that may be handed over. */
  get isReady(): boolean {
    return this.layer.waiting.length > 0 && this.isOpen;
  }
}

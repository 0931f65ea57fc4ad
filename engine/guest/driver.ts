/**
 * A block driver of the simulated guest, as the guest's block layer sees it (Linux's `struct blk_mq_ops`). The virtual CPU runs the
 * driver's code one visible thing at a time, so that the machine can stand still between any two of them.
 *
 * Two ways to write one: implement `DriverThread` as a machine with phases (virtqueue-driver.ts: no garbage), or write the code
 * straight on as generators that yield after each event (generator-driver.ts).
 */
import type { PendingInterrupt } from '../machine/interrupts.ts';
import type { QueueLimits } from './block-layer.ts';
import type { BlockRequest } from './block-request.ts';
import type { RegisterAccess } from './register-access.ts';

export interface DriverLimits extends QueueLimits {
  /** Hardware queues (`nr_hw_queues`). */
  queues: number;
  /** Requests that one queue takes at once (`nr_requests`). */
  depth: number;
  /** Requests that one disk takes at once, over all queues (the SCSI layer's `queue_depth`); no limit when left out. */
  depthOfDisk?: number;
}

export interface GuestDriver {
  /** Linux's name for it: `virtio_blk`, `ata_piix`. */
  readonly name: string;
  /** Settled by `probe`. */
  readonly limits: DriverLimits;
  /**
   * Finds and initialises the device and sets up at most one queue for each of `cpus` virtual CPUs. The machine stands still
   * meanwhile: registers are accessed through `GuestBus`, and what the device has to do for an answer is done by the context's
   * `settle`. Throws `guest.*` when the device is not what the driver knows.
   */
  probe(cpus: number): void;
  /**
   * The programs open its drives with trays, or close them: their doors are locked, or unlocked (Linux's `cdrom_open` and
   * `cdrom_release`). Nothing else is under way meanwhile, as during `probe`. Left out: none of its drives has a tray.
   */
  lockDoors?(locked: boolean): void;
  /** The hardware queue that virtual CPU `cpu` submits to for disk `unit` of the driver, as blk-mq maps them. */
  queueOf(cpu: number, unit: number): number;
  /** Whether the driver has registered its handler for this interrupt of virtual CPU `cpu`. */
  handles(irq: PendingInterrupt, cpu: number): boolean;
  /** The driver's code on one virtual CPU. */
  thread(cpu: DriverCpu): DriverThread;
}

/** What a virtual CPU offers to the driver's code that runs on it. */
export interface DriverCpu {
  readonly index: number;
  /** The way to registers, with all its exits. */
  readonly access: RegisterAccess;
  /**
   * The request is done, with `request.error` set (Linux's error numbers, positive); or the driver wants it `again`, and it goes back to
   * the front of those that wait (`scsi_queue_insert`, `blk_mq_requeue_request`).
   */
  complete(request: BlockRequest): void;
}

/** What was begun last goes on with each `step`; the virtual CPU begins nothing before `step` has answered false. */
export interface DriverThread {
  /** Whether the queue would take the request now; else it is asked again after the next completion. */
  hasRoom(queue: number, request: BlockRequest): boolean;
  /** Begins to hand a request to the device (`queue_rq`). */
  submit(queue: number, request: BlockRequest): void;
  /** No more requests for now (`commit_rqs`): whoever has put off the doorbell rings it. */
  commit(queue: number): void;
  /** Begins the interrupt handler. It tells of completed requests through `DriverCpu.complete`. */
  interrupt(irq: PendingInterrupt): void;
  /** Does one thing: at most one event. False, having done nothing, when what was begun is done. */
  step(): boolean;
}

/** The queue of each CPU when `queues` serve `cpus`: neighbours share one (lib/group_cpus.c, block/blk-mq-cpumap.c). */
export function queueOfCpu(cpu: number, cpus: number, queues: number): number {
  return queues >= cpus ? cpu : Math.floor((cpu * queues) / cpus);
}

/** The CPU that takes the interrupts of a queue: the first that submits to it. */
export function cpuOfQueue(queue: number, cpus: number, queues: number): number {
  return (queues >= cpus ? queue : Math.ceil((queue * cpus) / queues)) % cpus;
}

/** One disk of the guest (Linux's `gendisk`): where it is, what its programs have had of it so far, its part of the page cache. */
import { OP } from '../trace/format.ts';
import type { Slot } from './block-request.ts';
import type { GuestDriver } from './driver.ts';
import type { PageCache } from './page-cache.ts';

/** What programs have had; all but `bytes` are requests. */
export interface DiskCounters {
  requests: number;
  bytes: number;
  reads: number;
  writes: number;
  flushes: number;
  errors: number;
}

export const noCounters = (): DiskCounters => ({
  requests: 0,
  bytes: 0,
  reads: 0,
  writes: 0,
  flushes: 0,
  errors: 0,
});

export interface GuestDiskOptions {
  /** Its number among the disks of the guest. */
  index: number;
  driver: GuestDriver;
  /** Its number among the disks of its driver. */
  unit: number;
  /** What the data that is written to it follows from (workload.ts, `fillPattern`). */
  seed: number;
  /** Undefined when the programs go around it (O_DIRECT). */
  cache?: PageCache;
}

export class GuestDisk {
  readonly index: number;
  readonly driver: GuestDriver;
  readonly unit: number;
  readonly seed: number;
  readonly cache: PageCache | undefined;
  readonly counters = noCounters();
  /** Requests that the driver has, over all queues. */
  inFlight = 0;
  /** How long its programs' requests took together, and when the last was done: model nanoseconds. */
  waitedNs = 0;
  lastNs = 0;

  constructor(options: GuestDiskOptions) {
    this.index = options.index;
    this.driver = options.driver;
    this.unit = options.unit;
    this.seed = options.seed;
    this.cache = options.cache;
  }

  /** Whether it takes another request (Linux's `scsi_dev_queue_ready`). */
  get hasBudget(): boolean {
    return this.inFlight < (this.driver.limits.depthOfDisk ?? Infinity);
  }

  /** A program has its answer, at `nowNs` by the model clock. */
  answered({ op, bytes, error, sinceNs }: Slot, nowNs: number): void {
    const { counters } = this;
    counters.requests++;
    if (error !== 0) counters.errors++;
    else counters.bytes += bytes;
    if (op === OP.read) counters.reads++;
    else if (op === OP.write) counters.writes++;
    else counters.flushes++;
    this.waitedNs += nowNs - sinceNs;
    this.lastNs = nowNs;
  }
}

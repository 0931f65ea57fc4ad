/** The simulated guest of a laboratory: its programs on its virtual CPUs, over drivers that have probed their devices. */
import type { Workload } from '#contract/settings.ts';
import type { GuestAllocator } from '../guest/allocator.ts';
import type { LocalApics } from '../guest/apics.ts';
import { GuestCpu } from '../guest/cpu.ts';
import { GuestDisk } from '../guest/disk.ts';
import type { GuestDriver } from '../guest/driver.ts';
import { Job } from '../guest/job.ts';
import { GuestKernel } from '../guest/kernel.ts';
import { PAGE, PageCache } from '../guest/page-cache.ts';
import { Readahead } from '../guest/readahead.ts';
import { RegisterAccess } from '../guest/register-access.ts';
import { WorkloadGenerator } from '../guest/workload.ts';
import type { AddressSpace } from '../machine/address-space.ts';
import type { GuestMemory } from '../machine/memory.ts';
import type { TraceRing } from '../trace/ring.ts';

export interface GuestOptions {
  machine: {
    memory: GuestMemory;
    space: AddressSpace;
    io: AddressSpace;
    trace: TraceRing;
    cpus: number;
    apics: LocalApics;
    allocator: GuestAllocator;
    nextRequestId: () => number;
  };
  disks: readonly { driver: GuestDriver; unit: number; bytes: number }[];
  workload: Workload;
  /** Bytes of guest memory that the programs' buffers may take together. */
  bufferBytes: number;
  deviceStep: () => boolean;
  wakeCpu: (cpu: number) => void;
}

/** fio gives each job a seed of its own. */
const SEED_STEP = 0x9e37_79b1;

/** Most pages of the page cache: 16 MiB. */
const CACHE_PAGES = 4096;

/** The share that one of `disks` has of the guest's page cache, in pages; 0 when the programs go around it. */
export function cachePages({ direct = 1 }: Workload, diskBytes: number, disks: number): number {
  return direct === 1 ? 0 : Math.min(Math.floor(CACHE_PAGES / disks), Math.ceil(diskBytes / PAGE));
}

/** Programs: each disk has `numjobs` of its own. */
export function jobsOf({ numjobs = 1 }: Workload, disks: number): number {
  return numjobs * disks;
}

/** Places for requests that fit into the buffers, for each job. */
export function depthOf(workload: Workload, bufferBytes: number, disks: number): number {
  const { bs, iodepth } = workload;
  return Math.max(1, Math.min(iodepth, Math.floor(bufferBytes / (bs * jobsOf(workload, disks)))));
}

export function buildGuest(options: GuestOptions): GuestKernel {
  const { machine, workload, wakeCpu } = options;
  const { memory, trace, cpus, allocator } = machine;
  const disks = options.disks.map(({ driver, unit, bytes }, index) => {
    const pages = cachePages(workload, bytes, options.disks.length);
    const cache = pages === 0 ? undefined : new PageCache(memory, allocator.take(pages * PAGE), pages, bytes);
    // Each disk has data of its own, so that none can be taken for another's.
    return new GuestDisk({ index, driver, unit, seed: workload.seed + index, cache });
  });
  const kernel = new GuestKernel({
    memory,
    trace,
    disks,
    workload,
    nextRequestId: machine.nextRequestId,
    wake: wakeCpu,
  });
  const depth = depthOf(workload, options.bufferBytes, disks.length);
  // The nth program of every disk does the same, so that disks can be compared.
  const jobs = Array.from({ length: jobsOf(workload, disks.length) }, (_, index) => {
    const disk = disks[index % disks.length];
    const seed = (workload.seed + Math.floor(index / disks.length) * SEED_STEP) >>> 0;
    const generator = new WorkloadGenerator({ ...workload, seed }, options.disks[disk.index].bytes);
    const buffers = Array.from({ length: depth }, () => allocator.take(workload.bs));
    // fio tells the kernel that random workloads are random.
    const readahead = disk.cache === undefined ? undefined : new Readahead(workload.rw.startsWith('rand'));
    return new Job(generator, disk, index % cpus, buffers, readahead);
  });
  kernel.jobs = jobs;
  kernel.cpus = Array.from({ length: cpus }, (_, index) => {
    const access = new RegisterAccess({
      cpu: index,
      memory: machine.space,
      io: machine.io,
      ram: memory,
      trace,
      deviceStep: options.deviceStep,
    });
    const interrupts = machine.apics.controllers[index];
    return new GuestCpu({
      index,
      kernel,
      access,
      interrupts,
      jobs: jobs.filter((_job, at) => at % cpus === index),
    });
  });
  return kernel;
}

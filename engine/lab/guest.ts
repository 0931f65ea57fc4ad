/** The simulated guest of a laboratory: its programs on its virtual CPUs, over a driver that has probed its device. */
import type { Workload } from '#contract/settings.ts';
import type { GuestAllocator } from '../guest/allocator.ts';
import type { LocalApics } from '../guest/apics.ts';
import { GuestCpu } from '../guest/cpu.ts';
import { Job } from '../guest/job.ts';
import { GuestKernel } from '../guest/kernel.ts';
import { PAGE, PageCache } from '../guest/page-cache.ts';
import { Readahead } from '../guest/readahead.ts';
import { RegisterAccess } from '../guest/register-access.ts';
import { WorkloadGenerator } from '../guest/workload.ts';
import type { MachineContext } from './machines/kind.ts';
import type { LabHardware } from './machines/kind.ts';

export interface GuestOptions {
  context: MachineContext;
  hardware: LabHardware;
  workload: Workload;
  apics: LocalApics;
  allocator: GuestAllocator;
  /** Bytes of guest memory that the programs' buffers may take together. */
  bufferBytes: number;
  deviceStep: () => boolean;
  wakeCpu: (cpu: number) => void;
}

/** fio gives each job a seed of its own. */
const SEED_STEP = 0x9e37_79b1;

/** Most pages of the page cache: 16 MiB. */
const CACHE_PAGES = 4096;

/** Pages that the guest's page cache has; 0 when the programs go around it. */
export function cachePages({ direct = 1 }: Workload, diskBytes: number): number {
  return direct === 1 ? 0 : Math.min(CACHE_PAGES, Math.ceil(diskBytes / PAGE));
}

/** Places for requests that fit into the buffers, for each job. */
export function depthOf({ bs, iodepth, numjobs = 1 }: Workload, bufferBytes: number): number {
  return Math.max(1, Math.min(iodepth, Math.floor(bufferBytes / (bs * numjobs))));
}

export function buildGuest(options: GuestOptions): GuestKernel {
  const { context, hardware, workload, allocator, wakeCpu } = options;
  const { memory, trace, cpus } = context;
  const { numjobs = 1, seed, bs } = workload;
  const diskBytes = context.node.virtualSize;
  const pages = cachePages(workload, diskBytes);
  const kernel = new GuestKernel({
    memory,
    trace,
    driver: hardware.driver,
    workload,
    nextRequestId: context.nextRequestId,
    wake: wakeCpu,
    cache: pages === 0 ? undefined : new PageCache(memory, allocator.take(pages * PAGE), pages, diskBytes),
  });
  const depth = depthOf(workload, options.bufferBytes);
  const jobs = Array.from({ length: numjobs }, (_, index) => {
    const generator = new WorkloadGenerator(
      { ...workload, seed: (seed + index * SEED_STEP) >>> 0 },
      context.node.virtualSize,
    );
    const buffers = Array.from({ length: depth }, () => allocator.take(bs));
    // fio tells the kernel that random workloads are random.
    const readahead = pages === 0 ? undefined : new Readahead(workload.rw.startsWith('rand'));
    return new Job(generator, index % cpus, buffers, readahead);
  });
  kernel.jobs = jobs;
  kernel.cpus = Array.from({ length: cpus }, (_, index) => {
    const access = new RegisterAccess({
      cpu: index,
      memory: context.space,
      io: context.io,
      ram: memory,
      trace,
      deviceStep: options.deviceStep,
    });
    const interrupts = options.apics.controllers[index];
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

/** Builds the machine of one laboratory out of disks of the command line: memory, buses, hardware, guest. */
import type { Workload } from '#contract/settings.ts';
import { PlatterError } from '../errors.ts';
import { ApicVectors, FunctionVectors } from '../guest/apic-vectors.ts';
import { GuestAllocator } from '../guest/allocator.ts';
import { LocalApics } from '../guest/apics.ts';
import { GuestBus } from '../guest/bus.ts';
import { DISC_BLOCK } from '../guest/atapi.ts';
import { Firmware } from '../guest/firmware.ts';
import type { GuestKernel } from '../guest/kernel.ts';
import { AddressSpace } from '../machine/address-space.ts';
import { applyCosts, type CostTable } from '../machine/costs.ts';
import { pcRouting, q35Routing } from '../machine/interrupts.ts';
import type { IoErrorReport } from '../machine/io-errors.ts';
import { Kvm } from '../machine/kvm.ts';
import { createMemory, type GuestMemory } from '../machine/memory.ts';
import { PciRoot } from '../machine/pci/root.ts';
import { RunState } from '../machine/run-state.ts';
import { E } from '../trace/registry.ts';
import type { TraceRing } from '../trace/ring.ts';
import { Bridges } from './bridges.ts';
import { groupsOf, type Group } from './groups.ts';
import { buildGuest, cachePages, depthOf, jobsOf } from './guest.ts';
import type { LabDisk, LabHardware, MachineContext, WantedDisk } from './machines/kind.ts';
import { QemuThreads } from './qemu-threads.ts';
import { Scheduler } from './scheduler.ts';
import { Watchdog } from './watchdog.ts';

const MIB = 1024 * 1024;
const PAGE = 4096;
/** What the guest's kernel gets before the devices' rings and the programs' buffers. */
const KERNEL_BYTES = 4 * MIB;
const MOST_BUFFERS = 256 * MIB;

export interface MachineOptions {
  /** At least one. */
  disks: readonly WantedDisk[];
  workload: Workload;
  trace: TraceRing;
  costs: CostTable;
  /** A block node's promise came true: there is something to do. */
  onReady: () => void;
  /** Whether `rerror=stop` and its like stop the machine; otherwise the guest hears of such errors. */
  canStop: boolean;
  /** A request failed at the host (QMP's `BLOCK_IO_ERROR`). */
  onIoError: (report: IoErrorReport) => void;
}

export interface Machine {
  scheduler: Scheduler;
  guest: GuestKernel;
  hardware: readonly LabHardware[];
  /** In the order in which they were asked for. */
  disks: readonly LabDisk[];
  /** What the host has taken of all threads' requests and not yet reported, and how it is reached. */
  host: Pick<QemuThreads, 'inFlight' | 'reach'>;
  runState: RunState;
  /** The interrupt controllers. */
  apics: LocalApics;
  memory: GuestMemory;
  /** The programs are done and close their files. */
  closeDisks: () => void;
}

/** Bytes of the programs' buffers, each on a page boundary. */
function bufferBytesOf(workload: Workload, disks: number): number {
  const one = Math.ceil(workload.bs / PAGE) * PAGE;
  return Math.min(MOST_BUFFERS, one * workload.iodepth * jobsOf(workload, disks));
}

function memoryOf(groups: readonly Group[], workload: Workload, bufferBytes: number): GuestMemory {
  const disks = groups.flatMap((group) => group.disks);
  const sum = (numbers: number[]): number => numbers.reduce((total, each) => total + each, 0);
  const page = Math.ceil(workload.bs / PAGE) * PAGE;
  const jobs = jobsOf(workload, disks.length) * depthOf(workload, bufferBytes, disks.length) * page;
  const rings = sum(groups.map((group) => group.kind.memoryBytes(group.disks[0].wanted, group.disks.length)));
  const caches = sum(disks.map(({ node }) => cachePages(workload, node.virtualSize, disks.length) * PAGE));
  return createMemory(Math.ceil((KERNEL_BYTES + rings + caches + Math.max(bufferBytes, jobs)) / MIB) * MIB);
}

/** Nothing is written to a disc, and it has blocks of 2048 bytes. Throws `lab.cd-read-only`, `workload.block-size`. */
function checkDiscWorkload(label: string, { rw, bs, offset }: Workload): void {
  if (rw !== 'read' && rw !== 'randread') {
    throw new PlatterError(
      'lab.cd-read-only',
      `${label} is a CD-ROM drive: it can be read, not written; rw is ${rw}`,
      {
        option: 'rw',
        value: rw,
        expected: 'read, randread',
      },
    );
  }
  for (const [option, value] of [
    ['bs', bs],
    ['offset', offset],
  ] as const) {
    if (value % DISC_BLOCK === 0) continue;
    throw new PlatterError(
      'workload.block-size',
      `a disc has blocks of ${DISC_BLOCK} bytes; ${option} is ${value}`,
      {
        option,
        value: String(value),
        expected: `a multiple of ${DISC_BLOCK}`,
      },
    );
  }
}

/**
 * Builds the machine and lets the guest boot: firmware assigns addresses, the drivers initialise the devices. Throws
 * `workload.does-not-fit`, `machine.slot-taken`, `lab.bad-value` and what the drivers cannot do without.
 */
export function buildMachine(options: MachineOptions): Machine {
  const { disks: wantedDisks, workload, trace, costs } = options;
  const groups = groupsOf(wantedDisks);
  const { cpus, q35, aio } = wantedDisks[0].wanted;
  for (const { wanted } of wantedDisks)
    if (wanted.driver === 'ide-cd') checkDiscWorkload(wanted.label, workload);
  applyCosts(costs, trace.costs);
  const bufferBytes = bufferBytesOf(workload, wantedDisks.length);
  const memory = memoryOf(groups, workload, bufferBytes);
  const space = new AddressSpace();
  const io = new AddressSpace();
  const root = new PciRoot(space, io);
  const apics = new LocalApics(cpus);
  apics.map(space, io);
  const routing = q35 ? q35Routing : pcRouting;
  const kvm = new Kvm(trace, apics, routing);
  let ready: (() => void) | undefined = undefined;
  const onReady = (): void => {
    ready?.();
    options.onReady();
  };
  const others = wantedDisks.filter(({ wanted }) => wanted.aio !== aio);
  const modes =
    others.length === 0 ? undefined : new Map(others.map(({ node, wanted }) => [node, wanted.aio]));
  const threads = new QemuThreads(trace, kvm, { aio, modes, costs, onReady });
  const watchdog = new Watchdog(trace);
  const scheduler = new Scheduler(trace, costs['host.switch'], watchdog);
  const runState = new RunState();
  runState.onChange((status) => {
    scheduler.cpuStopped = status !== 'running';
    trace.emit(E.vm_state_notify, 0, status === 'running' ? 1 : 0, 0, 0, 0);
    if (status !== 'running') return;
    scheduler.wakeAll();
    scheduler.wakeThreads();
  });
  const bus = new GuestBus(space, io, trace);
  const firmware = new Firmware(bus);
  const bridges = new Bridges(root, { memory: space, io }, firmware);
  const allocator = new GuestAllocator(memory);
  const vectors = new ApicVectors();
  let lastRequest = 0;
  const nextRequestId = (): number => (lastRequest = lastRequest === 0xffff_ffff ? 1 : lastRequest + 1);
  const settle = (): void => {
    watchdog.restart();
    do while (threads.step()) watchdog.step();
    while (threads.stepHardware());
  };
  // Linux asks for the lines of devices that have no messages.
  const requestLines = (hardware: LabHardware): void => {
    if (hardware.disks[0].device.vectors().length > 0) return;
    apics.maskPic(bus);
    for (const gsi of q35 ? [20, 21, 22, 23] : [10, 11]) apics.requestLine(bus, gsi, true);
    for (const gsi of [14, 15]) apics.requestLine(bus, gsi, false);
  };
  const build = ({ kind, disks, nth }: Group): LabHardware => {
    const [{ wanted, node }] = disks;
    const { bus: pci, number } = bridges.to(wanted.bridges);
    const thread = threads.of(wanted);
    const probe = (): void => {
      for (const driver of hardware.drivers) {
        driver.probe(cpus);
        // The programs have opened their files when they begin.
        driver.lockDoors?.(true);
      }
      hardware.probed?.();
      requestLines(hardware);
    };
    const context: MachineContext = {
      disks,
      wanted,
      node,
      nth,
      memory,
      space,
      io,
      pci,
      interrupts: kvm,
      host: thread.host,
      thread: thread.name,
      errors: { runState: options.canStop ? runState : undefined, onIoError: options.onIoError },
      trace,
      nextRequestId,
      wakeDevice: () => scheduler.wakeQemu(thread.number),
      bus,
      allocator,
      vectors: new FunctionVectors(vectors),
      gsiOf: (at, pin = 0) => {
        const route = at.interruptAt(pin);
        return routing(route.slot, route.pin);
      },
      cpus,
      firmware: (slot) => firmware.assign(number * 32 + slot),
      placeIo: (at, bytes) => firmware.placeIo(at, bytes),
      settle,
      quiet: async () => {
        for (settle(); threads.inFlight > 0; settle())
          await new Promise<void>((resolve) => (ready = resolve));
      },
      probeAgain: () => {
        const end = allocator.mark();
        allocator.rewind(start);
        probe();
        allocator.rewind(end);
      },
    };
    const hardware: LabHardware = kind.build(context);
    thread.serve(hardware);
    const start = allocator.mark();
    probe();
    return hardware;
  };
  for (const { wanted } of groups.map(({ disks }) => disks[0])) threads.of(wanted);
  for (const thread of threads.all) scheduler.addThread(thread);
  const hardware = groups.map(build);
  dismiss(apics);
  const disks = wantedDisks.map((disk) => labDiskOf(disk, groups, hardware));
  const guest = buildGuest({
    machine: { memory, space, io, trace, cpus, apics, allocator, nextRequestId },
    disks: disks.map(({ driver, unit }, index) => ({
      driver,
      unit,
      bytes: wantedDisks[index].node.virtualSize,
    })),
    workload,
    bufferBytes,
    // A virtual CPU in QEMU's device code does the main loop's work.
    deviceStep: () => threads.main.step(),
    wakeCpu: (cpu) => scheduler.wakeCpu(cpu),
  });
  scheduler.attach(guest.cpus);
  apics.controllers.forEach((controller, cpu) => {
    controller.onPending = () => scheduler.wakeCpu(cpu);
  });
  const closeDisks = (): void => {
    for (const { drivers } of hardware) for (const driver of drivers) driver.lockDoors?.(false);
    settle();
    dismiss(apics);
  };
  return { scheduler, guest, hardware, disks, host: threads, runState, apics, memory, closeDisks };
}

/** What was built of a disk that was asked for. */
function labDiskOf(disk: WantedDisk, groups: readonly Group[], hardware: readonly LabHardware[]): LabDisk {
  const group = groups.findIndex(({ disks }) => disks.includes(disk));
  return hardware[group].disks[groups[group].disks.indexOf(disk)];
}

/** A driver that asks its device for something while it probes sees the answers itself: their interrupts find nothing any more. */
function dismiss({ controllers }: LocalApics): void {
  for (const controller of controllers) {
    while (controller.take() !== undefined) controller.end();
  }
}

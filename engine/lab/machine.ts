/** Builds the machine of one laboratory out of a device of the command line: memory, buses, hardware, guest. */
import type { Workload } from '#contract/settings.ts';
import type { BlockNode } from '../block/node.ts';
import { PlatterError } from '../errors.ts';
import { GuestAllocator } from '../guest/allocator.ts';
import { LocalApics } from '../guest/apics.ts';
import { GuestBus } from '../guest/bus.ts';
import { DISC_BLOCK } from '../guest/atapi.ts';
import { Firmware } from '../guest/firmware.ts';
import type { GuestKernel } from '../guest/kernel.ts';
import { AddressSpace } from '../machine/address-space.ts';
import { applyCosts, type CostTable } from '../machine/costs.ts';
import { HostIo } from '../machine/host-io.ts';
import { pcRouting, q35Routing } from '../machine/interrupts.ts';
import type { IoErrorReport } from '../machine/io-errors.ts';
import { Kvm } from '../machine/kvm.ts';
import { createMemory, type GuestMemory } from '../machine/memory.ts';
import { PciRoot } from '../machine/pci/root.ts';
import { RunState } from '../machine/run-state.ts';
import { E } from '../trace/registry.ts';
import type { TraceRing } from '../trace/ring.ts';
import { buildsAs, type DrivableDevice } from './drivable.ts';
import { buildBridges } from './bridges.ts';
import { buildGuest, cachePages, depthOf } from './guest.ts';
import { machineKind } from './machines/index.ts';
import type { LabDevice, LabHardware, MachineContext } from './machines/kind.ts';
import { Scheduler } from './scheduler.ts';

const MIB = 1024 * 1024;
const PAGE = 4096;
/** What the guest's kernel gets before the device's rings and the programs' buffers. */
const KERNEL_BYTES = 4 * MIB;
const MOST_BUFFERS = 256 * MIB;

export interface MachineOptions {
  device: DrivableDevice;
  node: BlockNode;
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
  device: LabDevice;
  driver: LabHardware['driver'];
  host: HostIo;
  runState: RunState;
  /** The interrupt controllers. */
  apics: LocalApics;
  memory: GuestMemory;
}

/** Bytes of the programs' buffers, each on a page boundary. */
function bufferBytesOf(workload: Workload): number {
  const one = Math.ceil(workload.bs / PAGE) * PAGE;
  return Math.min(MOST_BUFFERS, one * workload.iodepth * (workload.numjobs ?? 1));
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
 * Builds the machine and lets the guest boot: firmware assigns addresses, the driver initialises the device. Throws
 * `workload.does-not-fit`, `machine.slot-taken`, `lab.bad-value` and what the driver cannot do without.
 */
export function buildMachine(options: MachineOptions): Machine {
  const { device: wanted, node, workload, trace, costs } = options;
  const kind = machineKind(buildsAs(wanted));
  if (kind === undefined) throw new PlatterError('lab.not-drivable', `the lab cannot run ${wanted.label}`);
  if (wanted.driver === 'ide-cd') checkDiscWorkload(wanted.label, workload);
  applyCosts(costs, trace.costs);
  const bufferBytes = bufferBytesOf(workload);
  const jobs =
    (workload.numjobs ?? 1) * depthOf(workload, bufferBytes) * Math.ceil(workload.bs / PAGE) * PAGE;
  const memory = createMemory(
    Math.ceil(
      (KERNEL_BYTES +
        kind.memoryBytes(wanted) +
        cachePages(workload, node.virtualSize) * PAGE +
        Math.max(bufferBytes, jobs)) /
        MIB,
    ) * MIB,
  );
  const space = new AddressSpace();
  const io = new AddressSpace();
  const root = new PciRoot(space, io);
  const apics = new LocalApics(wanted.cpus);
  apics.map(space, io);
  const kvm = new Kvm(trace, apics, wanted.q35 ? q35Routing : pcRouting);
  let ready: (() => void) | undefined = undefined;
  const onReady = (): void => {
    ready?.();
    options.onReady();
  };
  const host = new HostIo(trace, { aio: wanted.aio, costs, onReady });
  const scheduler = new Scheduler(trace, host, costs['host.switch']);
  const runState = new RunState();
  runState.onChange((status) => {
    scheduler.cpuStopped = status !== 'running';
    trace.emit(E.vm_state_notify, 0, status === 'running' ? 1 : 0, 0, 0, 0);
    if (status !== 'running') return;
    scheduler.wakeAll();
    scheduler.wakeQemu();
  });
  const bus = new GuestBus(space, io, trace);
  const firmware = new Firmware(bus);
  const { bus: pci, number: busNumber } = buildBridges(root, { memory: space, io }, wanted.bridges, firmware);
  const allocator = new GuestAllocator(memory);
  let lastRequest = 0;
  let hardware: LabHardware | undefined = undefined;
  const deviceStep = (): boolean => kvm.step() || (hardware?.device.step() ?? false);
  const settle = (): void => {
    do while (deviceStep());
    while (host.stepHardware());
  };
  const context: MachineContext = {
    wanted,
    node,
    memory,
    space,
    io,
    pci,
    interrupts: kvm,
    host,
    errors: { runState: options.canStop ? runState : undefined, onIoError: options.onIoError },
    trace,
    nextRequestId: () => (lastRequest = lastRequest === 0xffff_ffff ? 1 : lastRequest + 1),
    wakeDevice: () => scheduler.wakeQemu(),
    bus,
    allocator,
    cpus: wanted.cpus,
    firmware: (slot) => firmware.assign(busNumber * 32 + slot),
    settle,
    quiet: async () => {
      for (settle(); host.inFlight > 0; settle()) await new Promise<void>((resolve) => (ready = resolve));
    },
    probeAgain: () => {
      const end = allocator.mark();
      allocator.rewind(start);
      probe();
      allocator.rewind(end);
    },
  };
  const built: LabHardware = kind.build(context);
  hardware = built;
  const start = allocator.mark();
  const probe = (): void => {
    built.driver.probe(wanted.cpus);
    built.probed?.();
    // Linux asks for the lines of devices that have no messages.
    if (built.device.vectors().length === 0) {
      apics.maskPic(bus);
      for (const gsi of wanted.q35 ? [20, 21, 22, 23] : [10, 11]) apics.requestLine(bus, gsi, true);
      for (const gsi of [14, 15]) apics.requestLine(bus, gsi, false);
    }
  };
  probe();
  dismiss(apics);
  const guest = buildGuest({
    context,
    hardware: built,
    workload,
    apics,
    allocator,
    bufferBytes,
    deviceStep,
    wakeCpu: (cpu) => scheduler.wakeCpu(cpu),
  });
  scheduler.attach(guest.cpus, deviceStep);
  apics.controllers.forEach((controller, cpu) => {
    controller.onPending = () => scheduler.wakeCpu(cpu);
  });
  return { scheduler, guest, device: built.device, driver: built.driver, host, runState, apics, memory };
}

/** A driver that asks its device for something while it probes sees the answers itself: their interrupts find nothing any more. */
function dismiss({ controllers }: LocalApics): void {
  for (const controller of controllers) {
    for (let irq = controller.take(); irq !== undefined; irq = controller.take()) controller.end(irq);
  }
}

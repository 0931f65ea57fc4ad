/** Builds the machine of one laboratory out of a device of the command line: memory, bus, device, guest. */
import type { Workload } from '#contract/settings.ts';
import type { BlockNode } from '../block/node.ts';
import { GuestAllocator } from '../guest/allocator.ts';
import { GuestBus } from '../guest/bus.ts';
import { GuestCpu } from '../guest/cpu.ts';
import { Firmware } from '../guest/firmware.ts';
import { VirtioBlkDriver } from '../guest/virtio-blk.ts';
import { VirtioPciDriver } from '../guest/virtio-pci.ts';
import { WorkloadGenerator } from '../guest/workload.ts';
import { AddressSpace } from '../machine/address-space.ts';
import { applyCosts, type CostTable } from '../machine/costs.ts';
import { HostIo } from '../machine/host-io.ts';
import { InterruptController } from '../machine/interrupts.ts';
import { Kvm } from '../machine/kvm.ts';
import { createMemory } from '../machine/memory.ts';
import { PciBus } from '../machine/pci/bus.ts';
import type { TraceRing } from '../trace/ring.ts';
import { VirtioBlk } from '../virtio/blk/device.ts';
import { VirtioPci } from '../virtio/transport/pci.ts';
import type { DrivableDevice } from './drivable.ts';
import { Scheduler } from './scheduler.ts';

const MIB = 1024 * 1024;
/** What the guest's kernel and rings get before the program's buffers. */
const KERNEL_BYTES = 4 * MIB;
/** Rings, indirect tables and headers of one queue entry. */
const BYTES_PER_ENTRY = 1024;
const MOST_BUFFERS = 256 * MIB;
/** PCI class of virtio-blk-pci: mass storage, other. */
const CLASS_STORAGE = 0x01_0000;

export interface MachineOptions {
  device: DrivableDevice;
  node: BlockNode;
  workload: Workload;
  trace: TraceRing;
  costs: CostTable;
  /** A block node's promise came true: there is something to do. */
  onReady: () => void;
}

export interface Machine {
  readonly scheduler: Scheduler;
  readonly cpu: GuestCpu;
  readonly driver: VirtioBlkDriver;
  readonly device: VirtioBlk;
  readonly transport: VirtioPci;
  readonly host: HostIo;
}

/** Everything plugged together, the driver initialised, the workload not begun. */
export function buildMachine(options: MachineOptions): Machine {
  const { device: wanted, node, workload, trace, costs } = options;
  applyCosts(costs, trace.costs);
  const generator = new WorkloadGenerator(workload, node.virtualSize);
  const perRequest = Math.ceil(workload.bs / 4096) * 4096;
  const bufferBytes = Math.max(perRequest, Math.min(workload.iodepth * perRequest, MOST_BUFFERS));
  const queues = (wanted.properties.numQueues ?? 1) * (wanted.properties.queueSize ?? 256);
  const memory = createMemory(Math.ceil((KERNEL_BYTES + queues * BYTES_PER_ENTRY + bufferBytes) / MIB) * MIB);
  const space = new AddressSpace();
  const io = new AddressSpace();
  const bus = new PciBus(space, io);
  const interrupts = new InterruptController();
  const kvm = new Kvm(trace, interrupts);
  const host = new HostIo(trace, { aio: wanted.aio, costs, onReady: options.onReady });
  let lastRequest = 0;
  const nextRequestId = (): number => (lastRequest = lastRequest === 0xffff_ffff ? 1 : lastRequest + 1);
  const device = new VirtioBlk({
    name: wanted.label,
    memory,
    trace,
    node,
    host,
    nextRequestId,
    properties: wanted.properties,
    readOnly: wanted.readOnly,
    unmap: wanted.unmap,
    irqfd: wanted.iothread,
  });
  const scheduler = new Scheduler(trace, host, costs['host.switch']);
  const transport = new VirtioPci(device, {
    interrupts: kvm,
    memory: space,
    vectors: wanted.vectors,
    ioeventfd: wanted.ioeventfd,
    classCode: CLASS_STORAGE,
    onDoorbell: () => scheduler.wakeQemu(),
  });
  const slot = bus.plug(transport.pci, wanted.slot);
  const guestBus = new GuestBus(space, io, trace);
  new Firmware(guestBus).assign(slot);
  const allocator = new GuestAllocator(memory);
  const driver = new VirtioBlkDriver(new VirtioPciDriver(guestBus, slot), memory, allocator);
  driver.probe(wanted.properties.numQueues ?? 1);
  driver.queues.forEach(({ ring }, index) => (device.queues[index].requestOf = ring.requestOf));
  const cpu = new GuestCpu({
    memory,
    allocator,
    bus: guestBus,
    interrupts,
    trace,
    driver,
    generator,
    workload,
    bufferBytes,
    nextRequestId,
    deviceStep: () => kvm.step() || device.step(),
  });
  scheduler.attach(cpu, () => kvm.step() || device.step());
  interrupts.onPending = () => scheduler.wakeCpu();
  return { scheduler, cpu, driver, device, transport, host };
}

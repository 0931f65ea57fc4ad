/** One kind of disk hardware that the laboratory can build: the device, and the guest's driver for it. */
import type { LabFrame, QueueView, VectorView } from '#contract/lab.ts';
import type { BlockNode } from '../../block/node.ts';
import type { PlatterError } from '../../errors.ts';
import type { GuestAllocator } from '../../guest/allocator.ts';
import type { GuestBus } from '../../guest/bus.ts';
import type { GuestDriver } from '../../guest/driver.ts';
import type { AddressSpace } from '../../machine/address-space.ts';
import type { HostIo } from '../../machine/host-io.ts';
import type { InterruptSink, IsaInterruptSink } from '../../machine/interrupts.ts';
import type { IoErrorsOptions } from '../../machine/io-errors.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import type { PciBus } from '../../machine/pci/bus.ts';
import type { PciFunction } from '../../machine/pci/function.ts';
import type { TraceRing } from '../../trace/ring.ts';
import type { AttackPanel } from '../attacks/panel.ts';
import type { Section } from '../details/section.ts';
import type { DrivableDevice } from '../drivable.ts';

/** What a device's state looks like to the frame's reader; what a device has none of is left out. */
export interface DeviceSummary {
  status: number;
  featuresOffered: bigint;
  featuresAcked: bigint;
  configGeneration: number;
  isr: number;
}

export const NO_SUMMARY: DeviceSummary = {
  status: 0,
  featuresOffered: 0n,
  featuresAcked: 0n,
  configGeneration: 0,
  isr: 0,
};

/** The device of a laboratory, whatever it is. */
export interface LabDevice {
  /** Its function on the PCI bus, for the screen; undefined when it sits on another bus. */
  readonly pci: PciFunction | undefined;
  /** Does one thing on QEMU's thread (or on the thread that serves it instead): at most one event. False when there is nothing. */
  step(): boolean;
  /** Why it has stopped working until it is reset. */
  readonly error: PlatterError | undefined;
  /** Queues that requests go through. */
  readonly queueCount: number;
  /** The nth of them, or null when there is none. */
  queue(nth: number): QueueView | null;
  /** MSI-X entries; empty without MSI-X. */
  vectors(): VectorView[];
  summary(): LabFrame['device'];
  /** Its registers, each explained (engine/lab/details); those of its PCI function alone when left out. */
  details?(): Section[];
  /** What a hostile driver can try on it; nothing when left out. */
  readonly attacks?: AttackPanel | undefined;
}

export interface LabHardware {
  device: LabDevice;
  driver: GuestDriver;
  /** Called when the driver has probed the device. */
  probed?: () => void;
}

/** What a device is built into. */
export interface MachineContext {
  wanted: DrivableDevice;
  node: BlockNode;
  memory: GuestMemory;
  /** Memory-mapped registers, I/O ports. */
  space: AddressSpace;
  io: AddressSpace;
  pci: PciBus;
  /** Where the device's interrupts go. */
  interrupts: InterruptSink & IsaInterruptSink;
  host: HostIo;
  /** What `rerror=stop` and its like stop, and who hears of requests that fail at the host. */
  errors: Omit<IoErrorsOptions, 'trace'>;
  trace: TraceRing;
  nextRequestId: () => number;
  /** A doorbell was rung through its ioeventfd, or the device has something to do for another reason: its thread wakes up. */
  wakeDevice: () => void;
  // The guest's side.
  bus: GuestBus;
  allocator: GuestAllocator;
  /** Virtual CPUs. */
  cpus: number;
  /**
   * Assigns the base address registers of the function in this slot of its bus, as firmware does. Answers where the guest finds it:
   * its slot counted over all buses.
   */
  firmware: (slot: number) => number;
  /** While the driver probes: lets device, host and disk work until nothing is left to do. */
  settle: () => void;
  /** The same, and waits for block nodes that answer later. */
  quiet: () => Promise<void>;
  /** Lets the driver initialise the device once more, in the memory that it had the first time. */
  probeAgain: () => void;
}

export interface MachineKind {
  /** QEMU's names of the devices, or of the controllers that the disk sits behind, that this builds. */
  readonly drivers: readonly string[];
  /** Guest memory that device and driver need beside the program's buffers, bytes. */
  memoryBytes(wanted: DrivableDevice): number;
  /** Builds both; the caller lets the driver probe. Throws `lab.*`, `machine.*`. */
  build(context: MachineContext): LabHardware;
}

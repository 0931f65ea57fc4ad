/** One kind of disk hardware that the laboratory can build: the device, and the guest's driver for it. */
import type { LabFrame, QueueView, VectorView } from '#contract/lab.ts';
import type { RemovableDrive } from '../../block/medium.ts';
import type { BlockNode } from '../../block/node.ts';
import type { PlatterError } from '../../errors.ts';
import type { FunctionVectors } from '../../guest/apic-vectors.ts';
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

/** What is shown of one disk of a laboratory: its device, or the controller that it lies on with what is the disk's own there. */
export interface LabDevice {
  /** Its function on the PCI bus, for the screen; undefined when it sits on another bus. */
  readonly pci: PciFunction | undefined;
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

/** One disk of the hardware. */
export interface LabDisk {
  /** The guest's driver that it is at, and its number there. */
  driver: GuestDriver;
  unit: number;
  device: LabDevice;
  /** Its tray, for whoever changes the medium; undefined when it stays in it. */
  removable?: RemovableDrive | undefined;
}

/** What was built at once: one PCI function (or virtio-mmio transport) with the disks on it. */
export interface LabHardware {
  /** Does one thing on QEMU's thread (or on the thread that serves it instead): at most one event. False when there is nothing. */
  step(): boolean;
  /** Why it has stopped working until it is reset. */
  readonly error: PlatterError | undefined;
  /** The guest's drivers, in the order in which they probe: one, unless parts of the hardware know nothing of each other. */
  drivers: readonly GuestDriver[];
  /** In the order of the context's disks. */
  disks: readonly LabDisk[];
  /** Called when the drivers have probed. */
  probed?: () => void;
}

/** A disk of the command line with the block node behind it. */
export interface WantedDisk {
  wanted: DrivableDevice;
  node: BlockNode;
}

/** What a device is built into. */
export interface MachineContext {
  /** The disks on this hardware, at least one. */
  disks: readonly WantedDisk[];
  /** The first of them; the only one, unless the hardware is a controller. */
  wanted: DrivableDevice;
  node: BlockNode;
  /** How many virtio-mmio transports are taken already, when it sits on one. */
  nth: number;
  memory: GuestMemory;
  /** Memory-mapped registers, I/O ports. */
  space: AddressSpace;
  io: AddressSpace;
  pci: PciBus;
  /** Where the device's interrupts go. */
  interrupts: InterruptSink & IsaInterruptSink;
  host: HostIo;
  /** Who serves it: QEMU's main loop, or an IOThread by its name. */
  thread: string;
  /** What `rerror=stop` and its like stop, and who hears of requests that fail at the host. */
  errors: Omit<IoErrorsOptions, 'trace'>;
  trace: TraceRing;
  nextRequestId: () => number;
  /** A doorbell was rung through its ioeventfd, or the device has something to do for another reason: its thread wakes up. */
  wakeDevice: () => void;
  // The guest's side.
  bus: GuestBus;
  allocator: GuestAllocator;
  /** Vectors for the function's messages. */
  vectors: FunctionVectors;
  /** The line that a pin of the function (0 = INTA) arrives at, by its number at the I/O APIC. */
  gsiOf: (pci: PciFunction, pin?: number) => number;
  /** Virtual CPUs. */
  cpus: number;
  /**
   * Assigns the base address registers of the function in this slot of its bus, as firmware does. Answers where the guest finds it:
   * its slot counted over all buses.
   */
  firmware: (slot: number) => number;
  /** Where firmware puts so many ports of a function of the board: at `at`, unless others are there already. */
  placeIo: (at: number, bytes: number) => number;
  /** While the driver probes: lets device, host and disk work until nothing is left to do. */
  settle: () => void;
  /** The same, and waits for block nodes that answer later. */
  quiet: () => Promise<void>;
  /** Lets the drivers initialise the hardware once more, in the memory that they had the first time. */
  probeAgain: () => void;
}

export interface MachineKind {
  /** QEMU's names of the devices, or of the controllers that the disk sits behind, that this builds. */
  readonly drivers: readonly string[];
  /** It sits on a virtio-mmio transport instead of PCI. */
  readonly mmio?: boolean;
  /** Guest memory that device and driver need beside the program's buffers, bytes; for a controller with as many disks. */
  memoryBytes(wanted: DrivableDevice, disks: number): number;
  /** Builds both; the caller lets the driver probe. Throws `lab.*`, `machine.*`. */
  build(context: MachineContext): LabHardware;
}

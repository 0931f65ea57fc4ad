/**
 * The AHCI controller of Intel's ICH9 as QEMU has it (hw/ide/ahci.c, ich.c): six ports behind base address register 5, an index and
 * data window behind 4, one interrupt by MSI or INTx.
 */
import { type AccessSize, lowBytes, type RegisterRange } from '../../machine/address-space.ts';
import type { HostIo } from '../../machine/host-io.ts';
import type { InterruptSink } from '../../machine/interrupts.ts';
import { IoErrors, type IoErrorReport } from '../../machine/io-errors.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { COMMAND, PCI, PciFunction } from '../../machine/pci/function.ts';
import type { RunState } from '../../machine/run-state.ts';
import { E } from '../../trace/registry.ts';
import type { TraceRing } from '../../trace/ring.ts';
import { IdeChannel } from '../channel.ts';
import { IdeIo } from '../io.ts';
import type { IdeDriveOptions } from '../options.ts';
import { ScatterList } from '../scatter.ts';
import { AhciPort } from './port.ts';
import { CAP, GHC, HBA, HBA_END, PORT_BYTES, PORTS_AT, SLOTS } from './registers.ts';

export const AHCI_BAR = 5;
const WINDOW_BAR = 4;
const BAR_BYTES = 0x1000;
const WINDOW_BYTES = 32;
/** Of the window: index and data. */
const INDEX = 0x10;
const DATA = 0x14;
export const AHCI_PORTS = 6;
const VERSION = 0x1_0000;
/** Capability list: MSI first, then the one of SATA, as Intel's data sheet has them. */
export const MSI_AT = 0x80;
const MSI = { id: 5, control: 2, low: 4, high: 8, data: 12, bytes: 14, enable: 1, wide: 0x80, several: 0x70 };
const SATA_AT = 0xa8;
const SATA_ID = 0x12;
/** Revision 1.0; the window is in BAR 4 at 16. */
const SATA_BODY = Uint8Array.of(0x10, 0, 0x48, 0, 0, 0);
const MULTIFUNCTION = 0x80;
const ADDRESS_MAP = 0x90;
const ADDRESS_MAP_AHCI = 0x40;

export interface AhciOptions {
  name: string;
  memory: GuestMemory;
  trace: TraceRing;
  host: HostIo;
  interrupts: InterruptSink;
  /** By port. */
  drives: readonly (IdeDriveOptions | undefined)[];
  /** `multifunction=on`, as the board's own controller has it: other functions share its slot. */
  multifunction?: boolean;
  /** The number of the first drive, counted through the machine from 1. */
  firstNumber?: number;
  /** What `rerror=stop` and its like of the drives stop, and who hears of failed requests (QMP's `BLOCK_IO_ERROR`). */
  runState?: RunState;
  onIoError?: (report: IoErrorReport) => void;
}

export class Ahci implements RegisterRange {
  readonly name: string;
  readonly size = BAR_BYTES;
  readonly pci: PciFunction;
  readonly ports: readonly AhciPort[];
  readonly memory: GuestMemory;
  ghc = 0;
  is = 0;
  readonly #io: IdeIo;
  readonly #o: AhciOptions;
  readonly #view: DataView;
  #index = 0;
  /** The level that the controller wants on its pin, and the one that is there. */
  #wanted = false;
  #level = false;

  constructor(options: AhciOptions) {
    const { name, memory, trace } = options;
    this.name = name;
    this.memory = memory;
    this.#o = options;
    this.#io = new IdeIo(options.host);
    this.pci = new PciFunction({
      name,
      vendor: 0x8086,
      device: 0x2922,
      revision: 2,
      classCode: 0x01_0601,
      subsystemVendor: 0x1af4,
      subsystem: 0x1100,
      interruptPin: 1,
    });
    this.#view = new DataView(this.pci.config.buffer);
    this.pci.config[ADDRESS_MAP] = ADDRESS_MAP_AHCI;
    if (options.multifunction === true) this.pci.config[PCI.headerType] = MULTIFUNCTION;
    this.pci.addCapability(SATA_AT, SATA_ID, SATA_BODY);
    this.#addMsi();
    this.pci.addBar(WINDOW_BAR, 'io', false, this.#window());
    this.pci.addBar(AHCI_BAR, 'mem32', false, this);
    this.pci.watch(PCI.command, PCI.command + 2, { written: () => this.#drive(0) });
    const errors = new IoErrors(options);
    this.ports = Array.from({ length: AHCI_PORTS }, (_, number) => {
      const channel = new IdeChannel({
        trace,
        io: this.#io,
        errors,
        list: new ScatterList(memory),
        firstNumber: (options.firstNumber ?? 1) + number * 2,
        drives: [options.drives[number], undefined],
        // Serial ATA has no interrupt line: FISes tell.
        irq: () => undefined,
      });
      const enabled = (): boolean => (this.pci.command & COMMAND.master) !== 0;
      const interrupt = (requestId: number): void => this.#check(requestId);
      return new AhciPort({ number, channel, memory, enabled, interrupt });
    });
    this.reset();
  }

  // ---- interrupts ----

  #addMsi(): void {
    const body = new Uint8Array(MSI.bytes - 2);
    const writable = new Uint8Array(MSI.bytes - 2);
    body[MSI.control - 2] = MSI.wide;
    writable[MSI.control - 2] = MSI.enable | MSI.several;
    writable.fill(0xff, MSI.low - 2);
    writable[MSI.low - 2] = 0xfc;
    this.pci.addCapability(MSI_AT, MSI.id, body, writable);
    this.pci.watch(MSI_AT + MSI.control, MSI_AT + MSI.control + 2, {
      written: () => {
        // There is one message, however many software would like.
        this.pci.config[MSI_AT + MSI.control] &= ~MSI.several;
        if (this.messages) this.#pin(false, 0);
      },
    });
  }

  /** Whether interrupts are messages. */
  get messages(): boolean {
    return (this.pci.config[MSI_AT + MSI.control] & MSI.enable) !== 0;
  }

  /** Section 5.6.2: looks which ports want an interrupt. */
  #check(requestId: number): void {
    const before = this.is;
    this.is = 0;
    for (const { registers, number } of this.ports) {
      if ((registers.is & registers.ie) !== 0) this.is |= 1 << number;
    }
    const { trace } = this.#o;
    trace.emit(E.ahci_check_irq, requestId, before, this.is, 0, 0);
    const raise = this.is !== 0 && (this.ghc & GHC.interrupts) !== 0;
    trace.emit(raise ? E.ahci_irq_raise : E.ahci_irq_lower, requestId, 0, 0, 0, 0);
    if (!this.messages) this.#pin(raise, requestId);
    else if (raise) this.#message(requestId);
  }

  #message(requestId: number): void {
    if ((this.pci.command & COMMAND.master) === 0) return;
    const high = this.#view.getUint32(MSI_AT + MSI.high, true);
    const address = this.#view.getUint32(MSI_AT + MSI.low, true) + high * 0x1_0000_0000;
    this.#o.interrupts.message(address, this.#view.getUint16(MSI_AT + MSI.data, true), requestId);
  }

  #pin(level: boolean, requestId: number): void {
    this.#wanted = level;
    this.pci.setInterruptStatus(level);
    this.#drive(requestId);
  }

  /** Brings the pin to the level that is wanted, unless software has disabled it. */
  #drive(requestId: number): void {
    const level = this.#wanted && (this.pci.command & COMMAND.interruptDisable) === 0;
    if (level === this.#level) return;
    this.#level = level;
    const { slot, pin } = this.pci.interruptAt();
    this.#o.interrupts.line(slot, pin, level, requestId);
  }

  // ---- registers ----

  /** Any width; words that an access crosses are read one after the other. */
  read(offset: number, size: AccessSize): number {
    if ((offset & (size - 1)) !== 0) {
      const half = (size / 2) as AccessSize;
      return (this.read(offset, half) | (this.read(offset + half, half) << (half * 8))) >>> 0;
    }
    const whole = this.#word(offset & ~3) >>> ((offset & 3) * 8);
    const value = lowBytes(whole, size);
    this.#o.trace.emit(E.ahci_mem_read, 0, offset, 0, value, size);
    return value;
  }

  #word(offset: number): number {
    const port = this.#portAt(offset);
    if (port !== undefined) return port.read(offset % PORT_BYTES);
    if (offset >= HBA_END) return 0;
    const value = this.globalValue(offset);
    this.#o.trace.emit(E.ahci_mem_read_32_host, 0, offset >> 2, value, 0, 0);
    return value;
  }

  #portAt(offset: number): AhciPort | undefined {
    return offset < PORTS_AT ? undefined : this.ports[Math.floor((offset - PORTS_AT) / PORT_BYTES)];
  }

  /** What the controller's own register at this offset reads as. Nothing changes by it. */
  globalValue(offset: number): number {
    switch (offset) {
      case HBA.cap:
        return (
          AHCI_PORTS - 1 + ((SLOTS - 1) << CAP.slots) + (1 << CAP.speed) + CAP.ncq + CAP.ahciOnly + CAP.wide
        );
      case HBA.ghc:
        return this.ghc;
      case HBA.is:
        return this.is;
      case HBA.pi:
        return (1 << AHCI_PORTS) - 1;
      case HBA.vs:
        return VERSION;
      default:
        return 0;
    }
  }

  /** Whole words only: narrower values are taken for whole ones, misaligned ones ignored (as in QEMU). */
  write(offset: number, size: AccessSize, value: number): void {
    this.#o.trace.emit(E.ahci_mem_write, 0, offset, 0, value, size);
    if ((offset & 3) !== 0) return;
    const port = this.#portAt(offset);
    if (port !== undefined) {
      port.write(offset % PORT_BYTES, value);
      return;
    }
    if (offset >= HBA_END) return;
    this.#o.trace.emit(E.ahci_mem_write_host, 0, offset >> 2, value, 0, 0);
    if (offset === HBA.ghc) {
      if ((value & GHC.reset) !== 0) {
        this.reset();
        return;
      }
      this.ghc = ((value & 3) | GHC.ahci) >>> 0;
      this.#check(0);
    } else if (offset === HBA.is) {
      this.is &= ~value;
      this.#check(0);
    }
  }

  /** Section 2.3 of Intel's document: index and data, for firmware that cannot reach the BAR. */
  #window(): RegisterRange {
    return {
      name: `${this.name} window`,
      size: WINDOW_BYTES,
      read: (offset, size) => {
        if (offset === INDEX) return this.#index;
        return offset === DATA ? this.read(this.#index, size) : 0;
      },
      write: (offset, size, value) => {
        if (offset === INDEX) this.#index = value & (BAR_BYTES - 4);
        else if (offset === DATA) this.write(this.#index, size, value);
      },
    };
  }

  // ---- the device's thread ----

  /** Section 10.4.3: reset of the controller and of all its ports. The interrupt's level stays until somebody looks. */
  reset(): void {
    this.#o.trace.emit(E.ahci_reset, 0, 0, 0, 0, 0);
    this.is = 0;
    this.ghc = GHC.ahci;
    for (const port of this.ports) port.hardReset();
  }

  step(): boolean {
    return this.#io.step();
  }
  get busy(): boolean {
    return this.#io.busy;
  }
  process(): void {
    this.memory.refresh();
    this.#io.process();
  }
}

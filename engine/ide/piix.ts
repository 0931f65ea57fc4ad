/**
 * The IDE controller of Intel's PIIX3 and PIIX4 as QEMU has it (hw/ide/piix.c): two channels at the ports and interrupts of the PC of
 * old, and a bus master behind base address register 4.
 */
import { type AddressSpace, allOnes, type RegisterRange } from '../machine/address-space.ts';
import type { HostIo } from '../machine/host-io.ts';
import type { IsaInterruptSink } from '../machine/interrupts.ts';
import { IoErrors, type IoErrorReport } from '../machine/io-errors.ts';
import type { GuestMemory } from '../machine/memory.ts';
import { COMMAND, PciFunction } from '../machine/pci/function.ts';
import type { RunState } from '../machine/run-state.ts';
import { E } from '../trace/registry.ts';
import type { TraceRing } from '../trace/ring.ts';
import { BusMaster } from './bus-master.ts';
import { IdeChannel, REGISTER } from './channel.ts';
import { IdeIo } from './io.ts';
import type { IdeDriveOptions } from './options.ts';
import { ScatterList } from './scatter.ts';

/** Ports and interrupts of the two channels. */
export const LEGACY = [
  { command: 0x1f0, control: 0x3f6, irq: 14 },
  { command: 0x170, control: 0x376, irq: 15 },
] as const;
export const BM_BAR = 4;
const BM_BYTES = 16;
const INTEL = 0x8086;
const DEVICE_ID = { 'piix3-ide': 0x7010, 'piix4-ide': 0x7111 } as const;
/** IDE controller that can master the bus, both channels at the legacy ports. */
const CLASS_IDE = 0x01_0180;
/** PCI status: fast back-to-back, medium device selection. */
const PCI_STATUS = 0x0280;
const STATUS_AT = 6;
const QUMRANET = 0x1af4;
const SUBSYSTEM_QEMU = 0x1100;

export interface PiixIdeOptions {
  name: string;
  model?: keyof typeof DEVICE_ID;
  memory: GuestMemory;
  trace: TraceRing;
  host: HostIo;
  interrupts: IsaInterruptSink;
  /** Where the legacy ports are; the function's own BAR is mapped by its bus. */
  io: AddressSpace;
  /** An access to the data port can begin the next transfer: the device's thread has something to do. */
  onWork?: () => void;
  /** What `rerror=stop` and its like of the drives stop, and who hears of failed requests (QMP's `BLOCK_IO_ERROR`). */
  runState?: RunState;
  onIoError?: (report: IoErrorReport) => void;
  /** Primary master and slave, secondary master and slave. */
  drives: readonly (IdeDriveOptions | undefined)[];
  /** Number of the first drive in serials that nobody gave, 1 if left out: QEMU counts every place of the machine's controllers. */
  firstNumber?: number;
}

export class PiixIde {
  readonly pci: PciFunction;
  readonly channels: readonly [IdeChannel, IdeChannel];
  readonly masters: readonly [BusMaster, BusMaster];
  readonly memory: GuestMemory;
  readonly #io: IdeIo;
  readonly #interrupts: IsaInterruptSink;
  readonly #trace: TraceRing;

  constructor(options: PiixIdeOptions) {
    const { name, memory, trace, io } = options;
    this.memory = memory;
    this.#trace = trace;
    this.#interrupts = options.interrupts;
    this.#io = new IdeIo(options.host);
    const errors = new IoErrors(options);
    this.pci = new PciFunction({
      name,
      vendor: INTEL,
      device: DEVICE_ID[options.model ?? 'piix3-ide'],
      revision: 0,
      classCode: CLASS_IDE,
      subsystemVendor: QUMRANET,
      subsystem: SUBSYSTEM_QEMU,
      interruptPin: 0,
    });
    new DataView(this.pci.config.buffer).setUint16(STATUS_AT, PCI_STATUS, true);
    this.channels = [this.#channel(0, options, errors), this.#channel(1, options, errors)];
    const master = (index: 0 | 1): BusMaster => {
      const channel = this.channels[index];
      channel.dma = new BusMaster(channel, memory, () => (this.pci.command & COMMAND.master) !== 0);
      return channel.dma as BusMaster;
    };
    this.masters = [master(0), master(1)];
    this.pci.addBar(BM_BAR, 'io', false, this.#busMasterRange(name));
    LEGACY.forEach((ports, index) => {
      const range = commandRange(`${name} channel ${index}`, this.channels[index], ports.command, () => {
        if (this.busy) options.onWork?.();
      });
      io.map(ports.command, range);
      io.map(ports.control, controlRange(`${name} control ${index}`, this.channels[index], ports.control));
    });
  }

  #channel(index: 0 | 1, options: PiixIdeOptions, errors: IoErrors): IdeChannel {
    const { irq } = LEGACY[index];
    let level = false;
    return new IdeChannel({
      trace: options.trace,
      io: this.#io,
      errors,
      list: new ScatterList(options.memory),
      firstNumber: (options.firstNumber ?? 1) + index * 2,
      drives: options.drives.slice(index * 2, index * 2 + 2),
      irq: (to) => {
        if (to) this.masters[index].interrupted();
        if (to === level) return;
        level = to;
        const { requestId } = this.channels[index];
        this.#trace.emit(E.ide_set_irq, requestId, irq, to ? 1 : 0, 0, 0);
        this.#interrupts.isa(irq, to, requestId);
        // The last word of a packet's answer raises it while the guest's access is under way.
        options.onWork?.();
      },
    });
  }

  /** Two halves of 8 bytes: command and status, one byte wide; the table's address, of any width. */
  #busMasterRange(name: string): RegisterRange {
    const base = (): number => this.pci.barBase(BM_BAR) ?? 0;
    return {
      name: `${name} bus master`,
      size: BM_BYTES,
      read: (offset, size) => {
        const [master, at] = [this.masters[offset < 8 ? 0 : 1], offset & 7];
        if (at >= 4) return at + size > 8 ? allOnes(size) : master.readTable(at - 4, size);
        return size === 1 ? master.read(at, base() + offset) : allOnes(size);
      },
      write: (offset, size, value) => {
        const [master, at] = [this.masters[offset < 8 ? 0 : 1], offset & 7];
        if (at >= 4 && at + size <= 8) master.writeTable(at - 4, size, value);
        else if (at < 4 && size === 1) master.write(at, value, base() + offset);
      },
    };
  }

  /** As after power-on. */
  reset(): void {
    for (const channel of this.channels) channel.reset();
    this.pci.reset();
    new DataView(this.pci.config.buffer).setUint16(STATUS_AT, PCI_STATUS, true);
  }

  /** One thing for the device's thread to do; false when there is none. */
  step(): boolean {
    return this.#io.step();
  }
  get busy(): boolean {
    return this.#io.busy;
  }
  /** Everything, the disk included. */
  process(): void {
    this.memory.refresh();
    this.#io.process();
  }
}

/** The command block: bytes everywhere, the data port two or four bytes wide as well. */
function commandRange(name: string, channel: IdeChannel, base: number, afterData: () => void): RegisterRange {
  const data = (size: 2 | 4): number => {
    const value = channel.readData(size, base);
    afterData();
    return value;
  };
  return {
    name,
    size: 8,
    read: (offset, size) => {
      if (offset === REGISTER.data && size !== 1) return data(size);
      if (size === 1) {
        const value = channel.read(offset, base + offset);
        if (offset === REGISTER.data) afterData();
        return value;
      }
      if (size === 4) return allOnes(4);
      const low = channel.read(offset, base + offset);
      return low | (channel.read(offset + 1, base + offset + 1) << 8);
    },
    write: (offset, size, value) => {
      if (size === 1) channel.write(offset, value, base + offset);
      else if (offset === REGISTER.data) {
        channel.writeData(size, value, base);
        afterData();
      } else if (size === 2) {
        channel.write(offset, value & 0xff, base + offset);
        channel.write(offset + 1, value >>> 8, base + offset + 1);
      }
    },
  };
}

/** One byte: the alternate status and device control. */
function controlRange(name: string, channel: IdeChannel, port: number): RegisterRange {
  return {
    name,
    size: 1,
    read: () => channel.readStatus(port),
    write: (_offset, _size, value) => channel.writeControl(value, port),
  };
}

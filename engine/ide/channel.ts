/** One channel: the task-file registers that its two drives share, device control, software reset (hw/ide/core.c; ioport.c). */
import type { IoErrors } from '../machine/io-errors.ts';
import { E } from '../trace/registry.ts';
import type { TraceRing } from '../trace/ring.ts';
import { CONTROL, DEVICE, STATUS } from './ata.ts';
import { diagnose, execute } from './commands.ts';
import { IdeDrive, type DmaProvider, type DriveBus } from './drive.ts';
import type { IdeIo, Transfer } from './io.ts';
import type { IdeDriveOptions } from './options.ts';
import type { ScatterList } from './scatter.ts';

/** Registers of the command block, by their offset. */
export const REGISTER = {
  data: 0,
  error: 1,
  count: 2,
  lbaLow: 3,
  lbaMid: 4,
  lbaHigh: 5,
  device: 6,
  status: 7,
} as const;
/** The trace numbers registers that are written from here on. */
const WRITTEN = 8;

export interface ChannelOptions {
  trace: TraceRing;
  io: IdeIo;
  errors: IoErrors;
  list: ScatterList;
  /** The number of the first of its two drives, counted through the machine from 1. */
  firstNumber: number;
  drives: readonly (IdeDriveOptions | undefined)[];
  /** The interrupt line's level changed or was driven again. */
  irq: (level: boolean) => void;
}

export class IdeChannel implements DriveBus {
  readonly trace: TraceRing;
  readonly io: IdeIo;
  readonly errors: IoErrors;
  retry: (() => void) | undefined;
  readonly drives: readonly [IdeDrive, IdeDrive];
  dma!: DmaProvider;
  requestId = 0;
  active: Transfer | undefined;
  /** The device control register. */
  control = 0;
  /** The drive that the device register selects. */
  unit = 0;
  readonly #irq: (level: boolean) => void;

  constructor(options: ChannelOptions) {
    this.trace = options.trace;
    this.io = options.io;
    this.errors = options.errors;
    this.errors.onCont(() => this.io.defer(() => this.#again()));
    this.#irq = options.irq;
    const drive = (unit: number): IdeDrive =>
      new IdeDrive(unit, this, options.list, options.firstNumber + unit, options.drives[unit]);
    this.drives = [drive(0), drive(1)];
  }

  /** The machine runs on (`ide_restart_bh`). */
  #again(): void {
    const { retry } = this;
    this.retry = undefined;
    retry?.();
  }

  get drive(): IdeDrive {
    return this.drives[this.unit];
  }

  get #empty(): boolean {
    return !this.drives[0].present && !this.drives[1].present;
  }
  /** The second drive is selected and is not there. */
  get #nobody(): boolean {
    return this.#empty || (this.unit === 1 && !this.drive.present);
  }

  raiseIrq(): void {
    if ((this.control & CONTROL.nien) === 0) this.#irq(true);
  }

  // ---- the command block ----

  /** Reads register `register`, one byte; `port` is for the trace. */
  read(register: number, port: number): number {
    const { drive } = this;
    const value = this.#read(register, port);
    this.trace.emit(E.ide_ioport_read, this.requestId, port, register, value, drive.unit);
    return value;
  }

  #read(register: number, port: number): number {
    const { drive } = this;
    const now = (this.control & CONTROL.hob) === 0;
    switch (register) {
      case REGISTER.data:
        // A byte takes a whole word out of the buffer, which an old boot loader relies on.
        return this.readData(2, port) & 0xff;
      case REGISTER.error:
        return this.#nobody ? 0 : now ? drive.error : drive.previous.feature;
      case REGISTER.status:
        this.#irq(false);
        return this.#nobody ? 0 : drive.status;
      default:
        break;
    }
    if (this.#empty) return 0;
    switch (register) {
      case REGISTER.count:
        return now ? drive.count & 0xff : drive.previous.count;
      case REGISTER.lbaLow:
        return now ? drive.lbaLow : drive.previous.lbaLow;
      case REGISTER.lbaMid:
        return now ? drive.lbaMid : drive.previous.lbaMid;
      case REGISTER.lbaHigh:
        return now ? drive.lbaHigh : drive.previous.lbaHigh;
      default:
        return drive.device;
    }
  }

  /** Writes register `register`. Both drives hear it; only the selected one runs the command. */
  write(register: number, value: number, port: number): void {
    const { drive } = this;
    this.trace.emit(E.ide_ioport_write, this.requestId, port, WRITTEN + register, value, drive.unit);
    const busy = (drive.status & (STATUS.bsy | STATUS.drq)) !== 0;
    if (register === REGISTER.data || (busy && register !== REGISTER.status)) return;
    this.control &= ~CONTROL.hob;
    if (register === REGISTER.status) {
      this.#irq(false);
      execute(drive, value);
      return;
    }
    for (const each of this.drives) set(each, register, value);
    if (register === REGISTER.device) this.unit = (value & DEVICE.second) === 0 ? 0 : 1;
  }

  readData(size: 2 | 4, port: number): number {
    const { drive } = this;
    const value = drive.readData(size);
    const event = size === 2 ? E.ide_data_readw : E.ide_data_readl;
    this.trace.emit(event, this.requestId, port, value, drive.unit, 0);
    return value;
  }

  writeData(size: 2 | 4, value: number, port: number): void {
    const { drive } = this;
    const event = size === 2 ? E.ide_data_writew : E.ide_data_writel;
    this.trace.emit(event, this.requestId, port, value, drive.unit, 0);
    drive.writeData(size, value);
  }

  // ---- the control block ----

  /** The alternate status: the interrupt stays pending. */
  readStatus(port: number): number {
    const { drive } = this;
    const value = this.#nobody ? 0 : drive.status;
    this.trace.emit(E.ide_status_read, this.requestId, port, value, drive.unit, 0);
    return value;
  }

  /** Device control. SRST makes both drives busy at once; the reset itself is done when the device's thread comes by. */
  writeControl(value: number, port: number): void {
    this.trace.emit(E.ide_ctrl_write, this.requestId, port, value, 0, 0);
    if ((this.control & CONTROL.srst) === 0 && (value & CONTROL.srst) !== 0) {
      for (const drive of this.drives) drive.status |= STATUS.bsy;
      this.io.defer(() => this.#softReset());
    }
    this.control = value;
  }

  #softReset(): void {
    for (const drive of this.drives) {
      drive.status |= STATUS.bsy;
      drive.haltTransfer();
      drive.cancelDma(() => {
        drive.reset();
        diagnose(drive, 0);
      });
    }
    this.control &= ~CONTROL.srst;
  }

  /** The bus is reset: power-on, a reset of the machine or of the port. Nothing that was under way has any effect any more. */
  reset(): void {
    this.unit = 0;
    this.control = 0;
    this.active?.orphan();
    this.active = undefined;
    for (const drive of this.drives) {
      drive.forget();
      drive.reset();
    }
    this.dma.busReset?.();
  }
}

/** A register of one drive; what stood there before can be seen through HOB and counts for LBA48. */
function set(drive: IdeDrive, register: number, value: number): void {
  const { previous } = drive;
  switch (register) {
    case REGISTER.error:
      previous.feature = drive.feature;
      drive.feature = value;
      break;
    case REGISTER.count:
      previous.count = drive.count & 0xff;
      drive.count = value;
      break;
    case REGISTER.lbaLow:
      previous.lbaLow = drive.lbaLow;
      drive.lbaLow = value;
      break;
    case REGISTER.lbaMid:
      previous.lbaMid = drive.lbaMid;
      drive.lbaMid = value;
      break;
    case REGISTER.lbaHigh:
      previous.lbaHigh = drive.lbaHigh;
      drive.lbaHigh = value;
      break;
    default:
      drive.device = value | DEVICE.obsolete;
  }
}

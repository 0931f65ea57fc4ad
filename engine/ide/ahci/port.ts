/**
 * One port of an AHCI controller (AHCI 1.3.1, section 3.3): its registers, the command list, the FISes that it writes for the guest,
 * and how the drive's data move (hw/ide/ahci.c).
 */
import type { GuestMemory } from '../../machine/memory.ts';
import { E } from '../../trace/registry.ts';
import { STATUS } from '../ata.ts';
import { IdeChannel } from '../channel.ts';
import { execute } from '../commands.ts';
import type { DmaProvider, IdeDrive } from '../drive.ts';
import { readGuest, ScatterList } from '../scatter.ts';
import { CommandQueue, isQueued, type NcqPort } from './ncq.ts';
import {
  DRIVE_PRESENT,
  FIS,
  FIS_BYTES,
  FIS_COMMAND,
  HEADER,
  LIST_BYTES,
  PORT,
  PXCMD,
  PXIE_MASK,
  PXIS,
  RECEIVED,
  SLOTS,
  TABLE,
} from './registers.ts';

/** Device signatures (Serial ATA 3.2, section 11.2), as PxSIG shows them. */
const SIGNATURE = { disk: 0x0000_0101, cd: 0xeb14_0101 } as const;
const SRST = 4;
const INTERRUPT = 0x40;
/** Bits of the status that a Set Device Bits FIS carries. */
const DEVICE_BITS = 0x77;

export interface AhciPortOptions {
  number: number;
  channel: IdeChannel;
  memory: GuestMemory;
  /** Whether the function may master the bus. */
  enabled: () => boolean;
  /** The port's interrupt status or mask changed. */
  interrupt: (requestId: number) => void;
}

export class AhciPort implements DmaProvider, NcqPort {
  readonly number: number;
  readonly channel: IdeChannel;
  readonly queue: CommandQueue;
  /** On whose behalf each slot's command is; the guest's driver writes it. */
  readonly requestOf = new Uint32Array(SLOTS);
  is = 0;
  ie = 0;
  cmd = 0;
  tfd = 0;
  sig = 0;
  serr = 0;
  sact = 0;
  ci = 0;
  sctl = 0;
  finished = 0;
  readonly #o: AhciPortOptions;
  readonly #memory: GuestMemory;
  /** Low and high words of the addresses of command list and FIS area, as written. */
  readonly #addresses = new Uint32Array(4);
  /** Where the two lie in the memory's buffer while their engines run, else -1. */
  #list = -1;
  #received = -1;
  /** Command header of the command that runs. */
  #header = -1;
  #slot = -1;
  #firstDrqDone = false;
  #registersSent = false;
  #inSoftReset = false;
  #checkPending = false;

  constructor(options: AhciPortOptions) {
    this.#o = options;
    this.#memory = options.memory;
    this.number = options.number;
    this.channel = options.channel;
    this.channel.dma = this;
    this.queue = new CommandQueue(this, options.memory);
  }

  get drive(): IdeDrive {
    return this.channel.drives[0];
  }

  #emit(event: number, a = 0, b = 0, c = 0, d = 0): void {
    this.channel.trace.emit(event, this.channel.requestId, a, b, c, d);
  }

  // ---- registers ----

  read(offset: number): number {
    const value = this.#read(offset);
    this.#emit(E.ahci_port_read, this.number, offset >> 2, value);
    return value;
  }

  #read(offset: number): number {
    switch (offset) {
      case PORT.clb:
      case PORT.clbu:
      case PORT.fb:
      case PORT.fbu:
        return this.#addresses[offset >> 2];
      case PORT.is:
        return this.is;
      case PORT.ie:
        return this.ie;
      case PORT.cmd:
        return this.cmd;
      case PORT.tfd:
        return this.tfd;
      case PORT.sig:
        return this.sig;
      case PORT.ssts:
        return this.drive.present ? DRIVE_PRESENT : 0;
      case PORT.sctl:
        return this.sctl;
      case PORT.serr:
        return this.serr;
      case PORT.sact:
        return this.sact;
      case PORT.ci:
        return this.ci;
      default:
        return 0;
    }
  }

  write(offset: number, value: number): void {
    this.#emit(E.ahci_port_write, this.number, offset >> 2, value);
    switch (offset) {
      case PORT.clb:
      case PORT.clbu:
      case PORT.fb:
      case PORT.fbu:
        this.#addresses[offset >> 2] = value;
        break;
      case PORT.is:
        this.is = (this.is & ~value) >>> 0;
        this.#o.interrupt(0);
        break;
      case PORT.ie:
        this.ie = (value & PXIE_MASK) >>> 0;
        this.#o.interrupt(0);
        break;
      case PORT.cmd:
        this.#writeCommand(value);
        break;
      case PORT.sctl:
        // Detection from 1 to 0 ends a COMRESET (section 10.4.2).
        if ((this.sctl & 15) === 1 && (value & 15) === 0) this.reset();
        this.sctl = value;
        break;
      case PORT.serr:
        this.serr = (this.serr & ~value) >>> 0;
        break;
      case PORT.sact:
        this.sact = (this.sact | value) >>> 0;
        break;
      case PORT.ci:
        this.ci = (this.ci | value) >>> 0;
        this.#check();
        break;
      default:
        break;
    }
  }

  /** Section 3.3.7: starts and stops the engines of command list and FIS area. */
  #writeCommand(value: number): void {
    if ((this.cmd & PXCMD.start) !== 0 && (value & PXCMD.start) === 0) this.sact = this.ci = 0;
    const writable = ~(PXCMD.readOnly | PXCMD.powerState);
    this.cmd = ((this.cmd & PXCMD.readOnly) | (value & writable)) >>> 0;
    const wanted = (this.cmd & PXCMD.start) !== 0;
    this.#list = this.#engine(PXCMD.start, PXCMD.listRunning, this.#list, 0, LIST_BYTES);
    // A list outside memory leaves the other engine as it is.
    if (!wanted || this.#list >= 0) {
      const { fisReceive, fisRunning } = PXCMD;
      this.#received = this.#engine(fisReceive, fisRunning, this.#received, 2, RECEIVED.bytes);
    }
    if ((this.cmd & PXCMD.fisRunning) !== 0) this.#sendRegisters();
    this.#check();
  }

  /** Where the engine's memory lies now. What is not wholly memory stops the engine. */
  #engine(start: number, running: number, now: number, word: number, bytes: number): number {
    const wanted = (this.cmd & start) !== 0;
    const runs = (this.cmd & running) !== 0;
    if (wanted === runs) return now;
    this.cmd = (this.cmd & ~running) >>> 0;
    if (!wanted) return -1;
    const address = this.#addresses[word] + this.#addresses[word + 1] * 0x1_0000_0000;
    const at = this.#o.enabled() ? this.#memory.locate(address, bytes) : -1;
    this.cmd = (at < 0 ? this.cmd & ~start : this.cmd | running) >>> 0;
    return at;
  }

  // ---- reset ----

  /** COMRESET, software reset, or reset of the controller: the drive shows its signature. */
  reset(): void {
    this.#emit(E.ahci_reset_port, this.number);
    const { drive } = this;
    this.channel.reset();
    drive.queueDepth = SLOTS;
    this.serr = this.sact = this.ci = 0;
    this.tfd = 0x7f;
    this.sig = 0xffff_ffff;
    this.#slot = -1;
    this.#registersSent = false;
    if (!drive.present) return;
    this.queue.reset();
    this.#inSoftReset = false;
    const signature = drive.isCd ? SIGNATURE.cd : SIGNATURE.disk;
    drive.lbaHigh = signature >>> 24;
    drive.lbaMid = (signature >>> 16) & 0xff;
    drive.lbaLow = (signature >>> 8) & 0xff;
    drive.count = signature & 0xff;
    this.#emit(E.ahci_set_signature, this.number, signature);
    drive.status = STATUS.dsc | STATUS.df | (drive.isCd ? STATUS.drdy : 0);
    drive.error = 1;
    this.#sendRegisters();
  }

  /** As after power-on, or when the controller is reset. */
  hardReset(): void {
    this.is = this.ie = this.sctl = 0;
    this.cmd = PXCMD.spinUp | PXCMD.powerOn;
    this.reset();
  }

  /** The drive's first FIS after a reset, once. */
  #sendRegisters(): void {
    if (this.#registersSent || !this.#writeRegisters(true)) return;
    const { drive } = this;
    this.#registersSent = true;
    const high = (drive.lbaHigh << 24) | (drive.lbaMid << 16);
    this.sig = (high | (drive.lbaLow << 8) | (drive.count & 0xff)) >>> 0;
  }

  // ---- FISes to the guest ----

  trigger(bit: number): void {
    this.is = (this.is | (1 << bit)) >>> 0;
    this.#emit(E.ahci_trigger_irq, this.number, bit, this.is);
    this.#o.interrupt(this.channel.requestId);
  }

  get #receives(): boolean {
    return this.#received >= 0 && (this.cmd & PXCMD.fisReceive) !== 0;
  }

  #receive(at: number, fis: Uint8Array): void {
    const to = this.#received + at;
    this.#memory.dirty(to, fis.length);
    this.#memory.bytes.set(fis, to);
  }

  /** The task file as every FIS of registers has it. */
  #registers(type: number, flags: number): Uint8Array {
    const { drive } = this;
    const { previous } = drive;
    const fis = new Uint8Array(FIS_BYTES);
    fis.set([
      type,
      flags,
      drive.status,
      drive.error,
      drive.lbaLow,
      drive.lbaMid,
      drive.lbaHigh,
      drive.device,
    ]);
    fis.set([previous.lbaLow, previous.lbaMid, previous.lbaHigh], 8);
    fis.set([drive.count & 0xff, (drive.count >> 8) & 0xff], 12);
    return fis;
  }

  /** Register FIS, device to host; its I bit asks for an interrupt. */
  #writeRegisters(interrupt: boolean): boolean {
    if (!this.#receives) return false;
    const { drive } = this;
    this.#receive(RECEIVED.register, this.#registers(FIS.deviceToHost, interrupt ? INTERRUPT : 0));
    this.#emit(E.ahci_write_fis_d2h, this.number, drive.status, drive.error);
    this.tfd = (drive.error << 8) | drive.status;
    if ((drive.status & STATUS.err) !== 0) this.trigger(PXIS.taskFileError);
    if (interrupt) this.trigger(PXIS.registerFis);
    return true;
  }

  #writePioSetup(bytes: number, interrupt: boolean): void {
    if (!this.#receives) return;
    const { drive } = this;
    const fis = this.#registers(FIS.pioSetup, interrupt ? INTERRUPT : 0);
    fis.set([drive.status, bytes & 0xff, (bytes >> 8) & 0xff], 15);
    this.#receive(RECEIVED.pioSetup, fis);
    this.#emit(E.ahci_write_fis_pio, this.number, drive.status, bytes);
    this.tfd = (drive.error << 8) | drive.status;
    if ((drive.status & STATUS.err) !== 0) this.trigger(PXIS.taskFileError);
  }

  /** Set Device Bits FIS: which tags are done. */
  writeDeviceBits(requestId: number): void {
    if (!this.#receives) return;
    const { drive, finished } = this;
    const status = drive.status & DEVICE_BITS;
    const fis = new Uint8Array(8);
    fis.set([FIS.deviceBits, INTERRUPT, status, drive.error]);
    new DataView(fis.buffer).setUint32(4, finished, true);
    this.#receive(RECEIVED.deviceBits, fis);
    this.channel.requestId = requestId;
    this.#emit(E.ahci_write_fis_sdb, this.number, status, finished >>> 0);
    this.tfd = (drive.error << 8) | status | (this.tfd & 0x88);
    this.sact = (this.sact & ~finished) >>> 0;
    this.finished = 0;
    this.trigger((status & STATUS.err) === 0 ? PXIS.deviceBits : PXIS.taskFileError);
  }

  // ---- commands ----

  /** Looks for commands to begin. */
  #check(): void {
    if ((this.cmd & PXCMD.start) === 0) return;
    for (let slot = 0; slot < SLOTS && this.ci !== 0; slot++) {
      if ((this.ci & (1 << slot)) !== 0) this.#begin(slot);
    }
  }

  get #busy(): boolean {
    return (this.drive.status & (STATUS.bsy | STATUS.drq)) !== 0;
  }

  /** Section 5.3.8: a command that failed keeps its bit in PxCI, so that software sees which one it was. */
  #clearIssue(slot: number): void {
    const failed = (this.drive.status & STATUS.err) !== 0;
    if (!failed && !this.#busy) this.ci = (this.ci & ~(1 << slot)) >>> 0;
  }

  /** Begins the command of a slot; while another one runs it must wait. */
  #begin(slot: number): void {
    if (this.#busy) {
      this.#emit(E.handle_cmd_busy, this.number);
      return;
    }
    if (this.#list < 0 || !this.drive.present) return;
    const header = this.#list + slot * HEADER.bytes;
    this.#header = header;
    this.channel.requestId = this.requestOf[slot];
    const table = this.#tableOf(header);
    const reachable = this.#o.enabled();
    const begins = reachable && this.#memory.locate(table, 1) >= 0;
    if (begins && this.#memory.locate(table, TABLE.prdt) < 0) {
      this.trigger(PXIS.hostBusFatal);
      return;
    }
    // Copied once: the guest may change it while the command runs.
    const fis = new Uint8Array(TABLE.prdt);
    readGuest(this.#memory, table, fis, reachable);
    this.#emit(E.handle_cmd_fis_dump, this.number, slot, fis[0], fis[2]);
    if (fis[0] === FIS.hostToDevice) this.#registersArrived(fis, header, slot);
  }

  #tableOf(header: number): number {
    const { view } = this.#memory;
    const high = view.getUint32(header + HEADER.table + 4, true);
    return view.getUint32(header + HEADER.table, true) + high * 0x1_0000_0000;
  }

  get #options(): number {
    return this.#memory.view.getUint16(this.#header, true);
  }

  /** Register FIS, host to device. Port multipliers and reserved flags are not known. */
  #registersArrived(fis: Uint8Array, header: number, slot: number): void {
    if ((fis[1] & 0x7f) !== 0) return;
    const { drive } = this;
    if ((fis[1] & FIS_COMMAND) === 0) {
      this.#softReset((fis[15] & SRST) !== 0, slot);
      return;
    }
    if (isQueued(fis[2])) {
      if (this.queue.isUsed(fis)) return;
      // Queued: the slot is free again. What comes of it a Set Device Bits FIS tells.
      this.#clearIssue(slot);
      this.#writeRegisters(false);
      this.queue.begin(fis, header, this.requestOf[slot]);
      return;
    }
    [, , , drive.feature, drive.lbaLow, drive.lbaMid, drive.lbaHigh, drive.device] = fis;
    const [lbaLow, lbaMid, lbaHigh, feature] = fis.subarray(8, 12);
    drive.previous = { ...drive.previous, feature, lbaLow, lbaMid, lbaHigh };
    drive.count = (fis[13] << 8) | fis[12];
    if ((this.#options & HEADER.atapi) !== 0) {
      drive.buffer.set(fis.subarray(TABLE.packet, TABLE.packet + 16));
    }
    drive.error = 0;
    this.#firstDrqDone = false;
    this.#moved(-this.#memory.view.getUint32(header + HEADER.moved, true));
    this.#slot = slot;
    execute(drive, fis[2]);
  }

  /** Section 10.4.1: one FIS sets SRST, a second one clears it. */
  #softReset(srst: boolean, slot: number): void {
    if (this.#inSoftReset) {
      if (!srst) this.reset();
      return;
    }
    if (!srst) return;
    this.#inSoftReset = true;
    if ((this.#options & HEADER.clearBusy) !== 0) this.#clearIssue(slot);
  }

  /** Adds to the count of bytes in the command header. */
  #moved(bytes: number): void {
    const { view } = this.#memory;
    const at = this.#header + HEADER.moved;
    this.#memory.dirty(at, 4);
    view.setUint32(at, (view.getUint32(at, true) + bytes) >>> 0, true);
  }

  // ---- data ----

  populate(list: ScatterList, header: number, limit: number, offset: number): boolean {
    const memory = this.#memory;
    const entries = memory.view.getUint16(header + HEADER.prdtl, true);
    const at = memory.locate(this.#tableOf(header) + TABLE.prdt, entries * TABLE.prdBytes);
    list.clear();
    if (entries === 0 || at < 0) return false;
    const { view } = memory;
    let before = 0;
    for (let i = 0; i < entries && list.bytes < limit; i++) {
      const prd = at + i * TABLE.prdBytes;
      const bytes = (view.getUint32(prd + 12, true) & TABLE.prdSize) + 1;
      const skip = Math.max(0, offset - before);
      before += bytes;
      if (skip >= bytes) continue;
      const address = view.getUint32(prd, true) + view.getUint32(prd + 4, true) * 0x1_0000_0000 + skip;
      list.add(address, Math.min(bytes - skip, limit - list.bytes), this.#o.enabled());
    }
    this.#emit(E.ahci_populate_sglist, this.number, entries, list.bytes);
    return offset < before;
  }

  start(drive: IdeDrive, go: () => void): void {
    this.#emit(E.ahci_start_dma, this.number);
    drive.ioDone = 0;
    go();
  }

  prepare(drive: IdeDrive, limit: number): number {
    if (!this.populate(drive.list, this.#header, limit, drive.ioDone)) return -1;
    drive.ioBytes = drive.list.bytes;
    this.#emit(E.ahci_dma_prepare_buf, this.number, drive.list.bytes, limit);
    return drive.list.bytes;
  }

  commit(_drive: IdeDrive, bytes: number): void {
    this.#moved(bytes);
  }

  moveBuffer(drive: IdeDrive, toGuest: boolean): boolean {
    const bytes = drive.buffer.subarray(drive.ioIndex, drive.ioBytes);
    if (!this.populate(drive.list, this.#header, bytes.length, drive.ioDone)) return false;
    if (toGuest) drive.list.fill(bytes);
    else drive.list.drain(bytes);
    this.#moved(bytes.length);
    drive.ioDone += bytes.length;
    drive.ioIndex += bytes.length;
    this.#emit(E.ahci_dma_rw_buf, this.number, bytes.length);
    return true;
  }

  /** The data of a PIO command move at once; the packet of PACKET is in the drive's buffer already. */
  pioTransfer(drive: IdeDrive): void {
    const bytes = drive.buffer.subarray(drive.dataAt, drive.dataEnd);
    const write = (this.#options & HEADER.write) !== 0;
    const packet = (this.#options & HEADER.atapi) !== 0;
    const interrupt = this.#firstDrqDone || (!packet && !write);
    this.#writePioSetup(bytes.length, interrupt);
    if (!packet || this.#firstDrqDone) {
      this.#emit(E.ahci_pio_transfer, this.number, bytes.length, write ? 1 : 0);
      if (bytes.length > 0 && this.populate(drive.list, this.#header, bytes.length, drive.ioDone)) {
        if (write) drive.list.drain(bytes);
        else drive.list.fill(bytes);
      }
      this.#moved(bytes.length);
      drive.ioDone += bytes.length;
    }
    drive.dataAt = drive.dataEnd;
    this.#firstDrqDone = true;
    if (interrupt) this.trigger(PXIS.pioSetup);
  }

  setInactive(): void {
    // The controller's engine needs no stopping.
  }

  commandDone(): void {
    this.#emit(E.ahci_cmd_done, this.number, this.#slot);
    if (this.#slot !== -1) {
      this.#clearIssue(this.#slot);
      this.#slot = -1;
    }
    this.#writeRegisters(true);
    const failed = (this.drive.status & STATUS.err) !== 0;
    if (failed || this.ci === 0 || this.#checkPending) return;
    this.#checkPending = true;
    this.channel.io.defer(() => {
      this.#checkPending = false;
      this.#check();
    });
  }
}

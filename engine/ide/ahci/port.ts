/**
 * One port of an AHCI controller (AHCI 1.3.1, section 3.3): what writes of its registers do, its resets, and the commands that it
 * takes from the command list (hw/ide/ahci.c).
 */
import type { GuestMemory } from '../../machine/memory.ts';
import { E } from '../../trace/registry.ts';
import { STATUS } from '../ata.ts';
import { IdeChannel } from '../channel.ts';
import { execute } from '../commands.ts';
import type { IdeDrive } from '../drive.ts';
import { readGuest, type ScatterList } from '../scatter.ts';
import { addMoved, movedOf, optionsOf, tableOf } from './command-header.ts';
import { PortEngines } from './engines.ts';
import { CommandQueue, isQueued, type NcqPort } from './ncq.ts';
import { emit, trigger, type PortParts } from './parts.ts';
import { PortRegisters } from './port-registers.ts';
import { ReceivedFises } from './received.ts';
import { FIS, FIS_COMMAND, HEADER, PORT, PXCMD, PXIE_MASK, PXIS, SLOTS, TABLE } from './registers.ts';
import { PortTransfers } from './transfers.ts';

/** Device signatures (Serial ATA 3.2, section 11.2), as PxSIG shows them. */
const SIGNATURE = { disk: 0x0000_0101, cd: 0xeb14_0101 } as const;
const SRST = 4;

export type AhciPortOptions = Omit<PortParts, 'registers'>;

export class AhciPort implements PortParts, NcqPort {
  readonly number: number;
  readonly channel: IdeChannel;
  readonly memory: GuestMemory;
  readonly enabled: () => boolean;
  readonly interrupt: (requestId: number) => void;
  readonly registers: PortRegisters;
  readonly queue: CommandQueue;
  /** On whose behalf each slot's command is; the guest's driver writes it. */
  readonly requestOf = new Uint32Array(SLOTS);
  finished = 0;
  readonly engines: PortEngines;
  readonly #received: ReceivedFises;
  readonly #transfers: PortTransfers;
  #slot = -1;
  #registersSent = false;
  #inSoftReset = false;
  #checkPending = false;

  constructor(options: AhciPortOptions) {
    this.number = options.number;
    this.channel = options.channel;
    this.memory = options.memory;
    this.enabled = options.enabled;
    this.interrupt = options.interrupt;
    this.registers = new PortRegisters(() => this.drive.present);
    this.engines = new PortEngines(this);
    this.#received = new ReceivedFises(this, this.engines);
    this.#transfers = new PortTransfers(this, this.#received, () => this.#commandDone());
    this.channel.dma = this.#transfers;
    this.queue = new CommandQueue(this, options.memory);
  }

  get drive(): IdeDrive {
    return this.channel.drives[0];
  }

  trigger(bit: number): void {
    trigger(this, bit);
  }

  // ---- registers ----

  read(offset: number): number {
    const value = this.registers.value(offset);
    emit(this, E.ahci_port_read, offset >> 2, value);
    return value;
  }

  write(offset: number, value: number): void {
    const { registers } = this;
    emit(this, E.ahci_port_write, offset >> 2, value);
    switch (offset) {
      case PORT.clb:
      case PORT.clbu:
      case PORT.fb:
      case PORT.fbu:
        registers.addresses[offset >> 2] = value;
        break;
      case PORT.is:
        registers.is = (registers.is & ~value) >>> 0;
        this.interrupt(0);
        break;
      case PORT.ie:
        registers.ie = (value & PXIE_MASK) >>> 0;
        this.interrupt(0);
        break;
      case PORT.cmd:
        this.engines.write(value);
        if ((registers.cmd & PXCMD.fisRunning) !== 0) this.#sendRegisters();
        this.#check();
        break;
      case PORT.sctl:
        // Detection from 1 to 0 ends a COMRESET (section 10.4.2).
        if ((registers.sctl & 15) === 1 && (value & 15) === 0) this.reset();
        registers.sctl = value;
        break;
      case PORT.serr:
        registers.serr = (registers.serr & ~value) >>> 0;
        break;
      case PORT.sact:
        registers.sact = (registers.sact | value) >>> 0;
        break;
      case PORT.ci:
        registers.ci = (registers.ci | value) >>> 0;
        this.#check();
        break;
      default:
        break;
    }
  }

  // ---- reset ----

  /** COMRESET, software reset, or reset of the controller: the drive shows its signature. */
  reset(): void {
    emit(this, E.ahci_reset_port);
    const { drive, registers } = this;
    this.channel.reset();
    drive.queueDepth = SLOTS;
    registers.serr = registers.sact = registers.ci = 0;
    registers.tfd = 0x7f;
    registers.sig = 0xffff_ffff;
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
    emit(this, E.ahci_set_signature, signature);
    drive.status = STATUS.dsc | STATUS.df | (drive.isCd ? STATUS.drdy : 0);
    drive.error = 1;
    this.#sendRegisters();
  }

  /** As after power-on, or when the controller is reset. */
  hardReset(): void {
    const { registers } = this;
    registers.is = registers.ie = registers.sctl = 0;
    registers.cmd = PXCMD.spinUp | PXCMD.powerOn;
    this.reset();
  }

  /** The drive's first FIS after a reset, once. */
  #sendRegisters(): void {
    if (this.#registersSent || !this.#received.registers(true)) return;
    const { drive } = this;
    this.#registersSent = true;
    const high = (drive.lbaHigh << 24) | (drive.lbaMid << 16);
    this.registers.sig = (high | (drive.lbaLow << 8) | (drive.count & 0xff)) >>> 0;
  }

  // ---- commands ----

  /** Looks for commands to begin. */
  #check(): void {
    const { registers } = this;
    if ((registers.cmd & PXCMD.start) === 0) return;
    for (let slot = 0; slot < SLOTS && registers.ci !== 0; slot++) {
      if ((registers.ci & (1 << slot)) !== 0) this.#begin(slot);
    }
  }

  get #busy(): boolean {
    return (this.drive.status & (STATUS.bsy | STATUS.drq)) !== 0;
  }

  /** Section 5.3.8: a command that failed keeps its bit in PxCI, so that software sees which one it was. */
  #clearIssue(slot: number): void {
    const { registers } = this;
    const failed = (this.drive.status & STATUS.err) !== 0;
    if (!failed && !this.#busy) registers.ci = (registers.ci & ~(1 << slot)) >>> 0;
  }

  /** Begins the command of a slot; while another one runs it must wait. */
  #begin(slot: number): void {
    if (this.#busy) {
      emit(this, E.handle_cmd_busy);
      return;
    }
    const { memory } = this;
    if (this.engines.list < 0 || !this.drive.present) return;
    const header = this.engines.list + slot * HEADER.bytes;
    this.#transfers.header = header;
    this.channel.requestId = this.requestOf[slot];
    const table = tableOf(memory, header);
    const reachable = this.enabled();
    const begins = reachable && memory.locate(table, 1) >= 0;
    if (begins && memory.locate(table, TABLE.prdt) < 0) {
      this.trigger(PXIS.hostBusFatal);
      return;
    }
    // Copied once: the guest may change it while the command runs.
    const fis = new Uint8Array(TABLE.prdt);
    readGuest(memory, table, fis, reachable);
    emit(this, E.handle_cmd_fis_dump, slot, fis[0], fis[2]);
    if (fis[0] === FIS.hostToDevice) this.#registersArrived(fis, header, slot);
  }

  /** Register FIS, host to device. Port multipliers and reserved flags are not known. */
  #registersArrived(fis: Uint8Array, header: number, slot: number): void {
    if ((fis[1] & 0x7f) !== 0) return;
    const { drive, memory } = this;
    const options = optionsOf(memory, header);
    if ((fis[1] & FIS_COMMAND) === 0) {
      this.#softReset((fis[15] & SRST) !== 0, (options & HEADER.clearBusy) !== 0, slot);
      return;
    }
    if (isQueued(fis[2])) {
      if (this.queue.isUsed(fis)) return;
      // Queued: the slot is free again. What comes of it a Set Device Bits FIS tells.
      this.#clearIssue(slot);
      this.#received.registers(false);
      this.queue.begin(fis, header, this.requestOf[slot]);
      return;
    }
    [, , , drive.feature, drive.lbaLow, drive.lbaMid, drive.lbaHigh, drive.device] = fis;
    const [lbaLow, lbaMid, lbaHigh, feature] = fis.subarray(8, 12);
    drive.previous = { ...drive.previous, feature, lbaLow, lbaMid, lbaHigh };
    drive.count = (fis[13] << 8) | fis[12];
    if ((options & HEADER.atapi) !== 0) drive.buffer.set(fis.subarray(TABLE.packet, TABLE.packet + 16));
    drive.error = 0;
    this.#transfers.firstDrqDone = false;
    addMoved(memory, header, -movedOf(memory, header));
    this.#slot = slot;
    execute(drive, fis[2]);
  }

  /** Section 10.4.1: one FIS sets SRST, a second one clears it. */
  #softReset(srst: boolean, clearBusy: boolean, slot: number): void {
    if (this.#inSoftReset) {
      if (!srst) this.reset();
      return;
    }
    if (!srst) return;
    this.#inSoftReset = true;
    if (clearBusy) this.#clearIssue(slot);
  }

  #commandDone(): void {
    emit(this, E.ahci_cmd_done, this.#slot);
    if (this.#slot !== -1) {
      this.#clearIssue(this.#slot);
      this.#slot = -1;
    }
    this.#received.registers(true);
    const failed = (this.drive.status & STATUS.err) !== 0;
    if (failed || this.registers.ci === 0 || this.#checkPending) return;
    this.#checkPending = true;
    this.channel.io.defer(() => {
      this.#checkPending = false;
      this.#check();
    });
  }

  // ---- queued commands ----

  populate(list: ScatterList, header: number, limit: number, offset: number): boolean {
    return this.#transfers.populate(list, header, limit, offset);
  }

  writeDeviceBits(requestId: number): void {
    if (!this.#received.deviceBits(this.finished, requestId)) return;
    this.finished = 0;
    const failed = (this.drive.status & STATUS.err) !== 0;
    this.trigger(failed ? PXIS.taskFileError : PXIS.deviceBits);
  }
}

/**
 * The bus master of one channel (Programming Interface for Bus Master IDE Controller, revision 1.0): command, status and the address
 * of a table of physical region descriptors, as QEMU's (hw/ide/pci.c, piix.c).
 */
import { E } from '../trace/registry.ts';
import { allOnes } from '../machine/address-space.ts';
import type { GuestMemory } from '../machine/memory.ts';
import type { IdeChannel } from './channel.ts';
import type { DmaProvider, IdeDrive } from './drive.ts';
import { readGuest } from './scatter.ts';

export const BM = { command: 0, status: 2, table: 4 } as const;
export const BM_COMMAND = { start: 1, toMemory: 8 } as const;
export const BM_STATUS = { active: 1, error: 2, interrupt: 4 } as const;
const CAPABLE = 0x60;
const PRD_BYTES = 8;
export const PRD_END = 0x8000_0000;
/** A table ends here at the latest. */
const TABLE_BYTES = 4096;

export class BusMaster implements DmaProvider {
  command = 0;
  status = 0;
  table = 0;
  readonly #channel: IdeChannel;
  readonly #memory: GuestMemory;
  /** Whether the function may master the bus. */
  readonly #enabled: () => boolean;
  #go: (() => void) | undefined;
  #next = 0;
  #address = 0;
  #left = 0;
  #last = false;
  readonly #prd = new DataView(new ArrayBuffer(PRD_BYTES));

  constructor(channel: IdeChannel, memory: GuestMemory, enabled: () => boolean) {
    this.#channel = channel;
    this.#memory = memory;
    this.#enabled = enabled;
  }

  get #active(): boolean {
    return (this.status & BM_STATUS.active) !== 0;
  }

  // ---- registers ----

  /** Command or status; `offset` 0 to 3 of the channel's half. */
  read(offset: number, port: number): number {
    const value = offset === BM.command ? this.command : offset === BM.status ? this.status : 0xff;
    this.#channel.trace.emit(E.bmdma_read, this.#channel.requestId, port, value, 0, 0);
    return value;
  }

  write(offset: number, value: number, port: number): void {
    const { trace, requestId } = this.#channel;
    trace.emit(E.bmdma_write, requestId, port, value, 0, 0);
    if (offset === BM.command) {
      trace.emit(E.bmdma_cmd_writeb, requestId, value, 0, 0, 0);
      this.#writeCommand(value);
    } else if (offset === BM.status) {
      // Error and interrupt are cleared by writing ones; "active" is the controller's own.
      const cleared = this.status & ~value & (BM_STATUS.error | BM_STATUS.interrupt);
      this.status = (value & CAPABLE) | (this.status & BM_STATUS.active) | cleared;
    }
  }

  #writeCommand(value: number): void {
    const start = value & BM_COMMAND.start;
    const changed = start !== (this.command & BM_COMMAND.start);
    this.command = value & (BM_COMMAND.start | BM_COMMAND.toMemory);
    if (!changed) return;
    if (start === 0) {
      this.#channel.drive.cancelDma(() => (this.status &= ~BM_STATUS.active));
      return;
    }
    this.#next = this.table;
    if (this.#active) return;
    this.status |= BM_STATUS.active;
    this.#go?.();
  }

  readTable(offset: number, size: 1 | 2 | 4): number {
    const mask = allOnes(size);
    const value = ((this.table >>> (offset * 8)) & mask) >>> 0;
    this.#channel.trace.emit(E.bmdma_addr_read, this.#channel.requestId, value, 0, 0, 0);
    return value;
  }

  writeTable(offset: number, size: 1 | 2 | 4, value: number): void {
    this.#channel.trace.emit(E.bmdma_addr_write, this.#channel.requestId, value, 0, 0, 0);
    const shift = offset * 8;
    const mask = allOnes(size);
    this.table = ((this.table & ~(mask << shift)) | (((value & mask) << shift) & ~3)) >>> 0;
  }

  /** The channel's interrupt passes through here. */
  interrupted(): void {
    this.status |= BM_STATUS.interrupt;
  }

  // ---- transfers ----

  start(_drive: IdeDrive, go: () => void): void {
    this.#go = go;
    this.#last = false;
    this.#address = this.#left = 0;
    if (this.#active) go();
  }

  /** Reads the next descriptor unless one is in use; false at the end of the table. */
  #descriptor(): boolean {
    if (this.#left > 0) return true;
    // Unsigned: a table that was moved behind the place of reading has ended.
    if (this.#last || (this.#next - this.table) >>> 0 >= TABLE_BYTES) return false;
    readGuest(this.#memory, this.#next, new Uint8Array(this.#prd.buffer), this.#enabled());
    this.#next += PRD_BYTES;
    const size = this.#prd.getUint32(4, true);
    this.#address = this.#prd.getUint32(0, true);
    this.#left = size & 0xfffe || 0x1_0000;
    this.#last = size >= PRD_END;
    return true;
  }

  /** All of the table is read: what it describes beyond `limit` counts in `ioBytes`, but is not used. */
  prepare(drive: IdeDrive, limit: number): number {
    const { list } = drive;
    const first = this.#next;
    list.clear();
    drive.ioBytes = 0;
    while (this.#descriptor()) {
      const used = Math.min(limit - list.bytes, this.#left);
      if (used > 0) list.add(this.#address, used, this.#enabled());
      drive.ioBytes += this.#left;
      this.#address += this.#left;
      this.#left = 0;
    }
    drive.emit(E.bmdma_prepare_buf, (this.#next - first) / PRD_BYTES, list.bytes);
    return list.bytes;
  }

  commit(): void {
    // Nothing in memory tells how much was moved.
  }

  moveBuffer(drive: IdeDrive, toGuest: boolean): boolean {
    const { list } = drive;
    while (drive.ioIndex < drive.ioBytes) {
      if (!this.#descriptor()) return false;
      const piece = Math.min(drive.ioBytes - drive.ioIndex, this.#left);
      list.clear();
      list.add(this.#address, piece, this.#enabled());
      const bytes = drive.buffer.subarray(drive.ioIndex, drive.ioIndex + piece);
      if (toGuest) list.fill(bytes);
      else list.drain(bytes);
      this.#address += piece;
      this.#left -= piece;
      drive.ioIndex += piece;
    }
    return true;
  }

  setInactive(more: boolean): void {
    this.#go = undefined;
    if (more) this.status |= BM_STATUS.active;
    else this.status &= ~BM_STATUS.active;
  }

  commandDone(): void {
    // The guest learns of it by the interrupt alone.
  }

  restart(): void {
    this.#next = this.table;
  }

  busReset(): void {
    this.#channel.trace.emit(E.bmdma_reset, 0, 0, 0, 0, 0);
    this.#go = undefined;
    this.command = this.status = this.table = 0;
    this.#next = this.#address = this.#left = 0;
    this.#last = false;
  }
}

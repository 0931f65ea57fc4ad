/** The script's AHCI driver: command lists and tables in memory, registers behind the BAR; it writes down every answer. */
import { createHash } from 'node:crypto';
import { AHCI_BAR, MSI_AT } from '#engine/ide/ahci/hba.ts';
import { FIS, HEADER, PORT, PORT_BYTES, PORTS_AT, PXCMD, TABLE } from '#engine/ide/ahci/registers.ts';
import type { AccessSize } from '#engine/machine/address-space.ts';
import { AHCI_FUNCTION, AHCI_SLOT } from './ahci-board.ts';
import type { Board } from './board.ts';

export const BAR_AT = 0xe000_0000;
export const WINDOW_AT = 0xc000;
export const MESSAGES = 0x8_0000;
export const DATA_AT = 0x20_0000;
const LIST_AT = 0x10_0000;
const RECEIVED_AT = 0x11_0000;
const TABLES_AT = 0x12_0000;
const TABLE_BYTES = 0x1000;
const PATIENCE = 20_000;
const RUNNING = PXCMD.fisReceive | PXCMD.spinUp | PXCMD.powerOn | PXCMD.start;
/** Bits of PxIS that say that a command failed. */
const FAILED = (1 << 30) | (1 << 29) | (1 << 24);

export interface Piece {
  address: number;
  bytes: number;
}

export interface Command {
  command: number;
  feature?: number;
  count?: number;
  lba?: number;
  device?: number;
  write?: boolean;
  packet?: readonly number[];
  pieces?: readonly Piece[];
  /** Bytes of the FIS to be other than usual. */
  fis?: Readonly<Record<number, number>>;
}

export class AhciScript {
  readonly board: Board;
  readonly log: string[] = [];
  port = 0;
  #count = 0;

  constructor(board: Board) {
    this.board = board;
  }

  note(key: string, value: number | string | Uint8Array): void {
    let text = String(value);
    if (typeof value === 'number') text = `0x${(value >>> 0).toString(16)}`;
    if (value instanceof Uint8Array) {
      const whole = Buffer.from(value);
      text = whole.length <= 512 ? whole.toString('hex') : createHash('md5').update(whole).digest('hex');
    }
    this.log.push(`${key} = ${text}`);
  }

  async #select(offset: number): Promise<number> {
    const address = 0x8000_0000 | (AHCI_SLOT << 11) | (AHCI_FUNCTION << 8) | (offset & 0xfc);
    await this.board.portWrite(0xcf8, 4, address >>> 0);
    return 0xcfc + (offset & 3);
  }
  async config(offset: number, size: AccessSize): Promise<number> {
    return this.board.portRead(await this.#select(offset), size);
  }
  async setConfig(offset: number, size: AccessSize, value: number): Promise<void> {
    await this.board.portWrite(await this.#select(offset), size, value);
  }

  async assign(): Promise<void> {
    await this.setConfig(0x10 + AHCI_BAR * 4, 4, BAR_AT);
    await this.setConfig(0x20, 4, WINDOW_AT);
    await this.setConfig(4, 2, 7);
  }

  /** Messages go to ordinary memory, where both sides can be looked at. */
  async enableMsi(): Promise<void> {
    await this.setConfig(MSI_AT + 4, 4, MESSAGES);
    await this.setConfig(MSI_AT + 8, 4, 0);
    await this.setConfig(MSI_AT + 12, 2, 0xabc0);
    await this.setConfig(MSI_AT + 2, 2, 0x71);
    this.note('msi control', await this.config(MSI_AT + 2, 2));
  }

  global(offset: number, size: AccessSize = 4): Promise<number> {
    return this.board.read(BAR_AT + offset, size);
  }
  setGlobal(offset: number, value: number, size: AccessSize = 4): Promise<void> {
    return this.board.write(BAR_AT + offset, size, value);
  }
  register(offset: number, size: AccessSize = 4): Promise<number> {
    return this.global(PORTS_AT + this.port * PORT_BYTES + offset, size);
  }
  setRegister(offset: number, value: number): Promise<void> {
    return this.setGlobal(PORTS_AT + this.port * PORT_BYTES + offset, value);
  }

  async noteRegisters(label: string): Promise<void> {
    const values: string[] = [];
    for (let at = 0; at < PORT_BYTES; at += 4) values.push((await this.register(at)).toString(16));
    this.note(`${label} port`, values.join(' '));
    this.note(`${label} IS`, await this.global(8));
    for (const line of await this.board.lines()) this.note(`${label} line`, line);
    this.note(`${label} messages`, await this.board.read(MESSAGES, 4));
    await this.board.write(MESSAGES, 4, 0);
  }

  async noteReceived(label: string): Promise<void> {
    this.note(`${label} received`, await this.board.readBytes(RECEIVED_AT, 256));
  }

  /** Starts both engines of the port. */
  async start(interrupts = true): Promise<void> {
    await this.board.writeBytes(LIST_AT, new Uint8Array(1024));
    await this.board.writeBytes(RECEIVED_AT, new Uint8Array(256));
    await this.setRegister(PORT.clb, LIST_AT);
    await this.setRegister(PORT.clbu, 0);
    await this.setRegister(PORT.fb, RECEIVED_AT);
    await this.setRegister(PORT.fbu, 0);
    await this.setRegister(PORT.ie, 0xffff_ffff);
    await this.setGlobal(4, interrupts ? 0x8000_0002 : 0x8000_0000);
    await this.setRegister(PORT.cmd, RUNNING & ~PXCMD.start);
    await this.setRegister(PORT.cmd, RUNNING);
    await this.noteRegisters('started');
    await this.noteReceived('started');
    await this.setRegister(PORT.is, 0xffff_ffff);
    await this.noteRegisters('quiet');
  }

  /** Puts a command into a slot; nothing happens before its bit is set. */
  async prepare(slot: number, task: Command): Promise<void> {
    const { command, feature = 0, count = 0, lba = 0, device = 0xe0, pieces = [], packet } = task;
    const byte = (value: number, shift: number): number => Math.floor(value / 2 ** shift) & 0xff;
    const table = Buffer.alloc(TABLE.prdt + pieces.length * TABLE.prdBytes);
    table.set([
      FIS.hostToDevice,
      0x80,
      command,
      feature & 0xff,
      byte(lba, 0),
      byte(lba, 8),
      byte(lba, 16),
      device,
    ]);
    table.set([byte(lba, 24), byte(lba, 32), byte(lba, 40), feature >> 8, count & 0xff, count >> 8], 8);
    for (const [at, value] of Object.entries(task.fis ?? {})) table[Number(at)] = value;
    if (packet !== undefined) table.set(packet, TABLE.packet);
    pieces.forEach(({ address, bytes }, i) => {
      table.writeUInt32LE(address, TABLE.prdt + i * TABLE.prdBytes);
      table.writeUInt32LE((bytes - 1) & 0x3f_ffff, TABLE.prdt + i * TABLE.prdBytes + 12);
    });
    await this.board.writeBytes(TABLES_AT + slot * TABLE_BYTES, table);
    const header = Buffer.alloc(HEADER.bytes);
    const flags = 5 | (task.write === true ? HEADER.write : 0) | (packet === undefined ? 0 : HEADER.atapi);
    header.writeUInt16LE(flags, 0);
    header.writeUInt16LE(pieces.length, HEADER.prdtl);
    header.writeUInt32LE(TABLES_AT + slot * TABLE_BYTES, HEADER.table);
    await this.board.writeBytes(LIST_AT + slot * HEADER.bytes, header);
  }

  /** Until the slots are done, or the port complains; `patience` 0 for what will not end. */
  async wait(slots: number, patience = PATIENCE): Promise<void> {
    const until = Date.now() + patience;
    do {
      const left = ((await this.register(PORT.ci)) | (await this.register(PORT.sact))) & slots;
      if (left === 0 || ((await this.register(PORT.is)) & FAILED) !== 0) return;
    } while (Date.now() < until);
    if (patience > 0) throw new Error(`${this.board.name}: the command does not end`);
  }

  /** Section 6.2.2 of AHCI: after an error the list is stopped and started again. */
  async recover(): Promise<void> {
    if (((await this.register(PORT.ci)) | (await this.register(PORT.sact))) === 0) return;
    await this.setRegister(PORT.cmd, RUNNING & ~PXCMD.start);
    await this.noteRegisters('stopped');
    await this.setRegister(PORT.cmd, RUNNING);
    await this.noteRegisters('started again');
  }

  async noteEnd(label: string, slots: readonly number[]): Promise<void> {
    await this.noteRegisters(label);
    await this.noteReceived(label);
    for (const slot of slots)
      this.note(
        `${label} moved ${slot}`,
        await this.board.read(LIST_AT + slot * HEADER.bytes + HEADER.moved, 4),
      );
    await this.setRegister(PORT.is, 0xffff_ffff);
    await this.setGlobal(8, 0xffff_ffff);
    for (const line of await this.board.lines()) this.note(`${label} line after`, line);
  }

  async run(task: Command, slot = 0, patience = PATIENCE): Promise<void> {
    const label = `${++this.#count} command ${task.command.toString(16)}`;
    await this.prepare(slot, task);
    await this.setRegister(PORT.ci, (1 << slot) >>> 0);
    await this.wait(1 << slot, patience);
    await this.noteEnd(label, [slot]);
    for (const { address, bytes } of task.pieces ?? [])
      this.note(`${label} data`, await this.board.readBytes(address, bytes));
    await this.recover();
  }

  /** Queued commands, all at once; the slot is the tag unless the FIS says otherwise. */
  async queued(tasks: readonly Command[], patience = PATIENCE): Promise<void> {
    const label = `${++this.#count} queued`;
    let slots = 0;
    for (const [slot, task] of tasks.entries()) {
      const sectors = task.count ?? 1;
      await this.prepare(slot, { ...task, feature: sectors, count: slot << 3, device: 0x40 });
      slots |= 1 << slot;
    }
    await this.setRegister(PORT.sact, slots);
    await this.setRegister(PORT.ci, slots);
    await this.wait(slots, patience);
    await this.noteEnd(label, [...tasks.keys()]);
    for (const task of tasks)
      for (const { address, bytes } of task.pieces ?? [])
        this.note(`${label} data`, await this.board.readBytes(address, bytes));
    await this.recover();
  }
}

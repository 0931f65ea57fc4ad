/** The script's IDE driver: writes task files, moves data, waits, and writes down every answer it gets. */
import { createHash } from 'node:crypto';
import { BM, BM_COMMAND, BM_STATUS, PRD_END } from '#engine/ide/bus-master.ts';
import { LEGACY } from '#engine/ide/piix.ts';
import type { AccessSize } from '#engine/machine/address-space.ts';
import type { Board } from './board.ts';
import { IDE_PLACE, type IdeModel } from './ide-board.ts';

export const BM_BASE = 0xc000;
/** The table of PRDs, and what they point to. */
export const TABLE_AT = 0x1_0000;
export const DATA_AT = 0x20_0000;
/** How long QEMU may work on a command in its own threads, milliseconds. */
const PATIENCE = 20_000;
const BUSY = 0x80;
const DATA_REQUEST = 0x08;

export interface TaskFile {
  feature?: number;
  /** For LBA48, the upper byte is written first. */
  count?: number;
  /** Sector, or undefined to leave the registers as they are. */
  lba?: number;
  /** Device register; the LBA bit and the drive are the caller's. */
  device?: number;
}

export interface Piece {
  address: number;
  bytes: number;
}

export class IdeScript {
  readonly board: Board;
  readonly log: string[] = [];
  channel: 0 | 1 = 0;
  #count = 0;

  readonly #place: (typeof IDE_PLACE)[IdeModel];

  constructor(board: Board, model: IdeModel) {
    this.board = board;
    this.#place = IDE_PLACE[model];
  }

  get #ports(): (typeof LEGACY)[number] {
    return LEGACY[this.channel];
  }
  get #master(): number {
    return BM_BASE + this.channel * 8;
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

  // ---- configuration space ----

  async #select(offset: number): Promise<number> {
    const place = (this.#place.slot << 11) | (this.#place.function << 8);
    const address = 0x8000_0000 | place | (offset & 0xfc);
    await this.board.portWrite(0xcf8, 4, address >>> 0);
    return 0xcfc + (offset & 3);
  }
  async config(offset: number, size: AccessSize): Promise<number> {
    return this.board.portRead(await this.#select(offset), size);
  }
  async setConfig(offset: number, size: AccessSize, value: number): Promise<void> {
    await this.board.portWrite(await this.#select(offset), size, value);
  }
  /** Gives the bus master its ports and lets it master the bus. */
  async assign(): Promise<void> {
    await this.setConfig(0x20, 4, BM_BASE);
    await this.setConfig(4, 2, 5);
  }

  // ---- registers ----

  in(register: number, size: AccessSize = 1): Promise<number> {
    return this.board.portRead(this.#ports.command + register, size);
  }
  out(register: number, value: number, size: AccessSize = 1): Promise<void> {
    return this.board.portWrite(this.#ports.command + register, size, value);
  }
  alternate(): Promise<number> {
    return this.board.portRead(this.#ports.control, 1);
  }
  control(value: number): Promise<void> {
    return this.board.portWrite(this.#ports.control, 1, value);
  }
  master(register: number, size: AccessSize = 1): Promise<number> {
    return this.board.portRead(this.#master + register, size);
  }
  setMaster(register: number, value: number, size: AccessSize = 1): Promise<void> {
    return this.board.portWrite(this.#master + register, size, value);
  }

  async noteLines(label: string): Promise<void> {
    for (const line of await this.board.lines()) this.note(`${label} line`, line);
  }

  /** Everything that can be read without changing it, then the status, which takes the interrupt back. */
  async noteRegisters(label: string): Promise<void> {
    const values: number[] = [];
    for (let register = 1; register < 7; register++) values.push(await this.in(register));
    this.note(`${label} registers`, values.map((value) => value.toString(16)).join(' '));
    this.note(`${label} alternate`, await this.alternate());
    this.note(`${label} master`, await this.master(BM.status));
    await this.noteLines(label);
    this.note(`${label} status`, await this.in(7));
    await this.noteLines(`${label} after status`);
  }

  /** Waits until the selected drive is not busy, and `ended` if it is given. */
  async settle(ended?: (status: number) => Promise<boolean>): Promise<void> {
    const until = Date.now() + PATIENCE;
    while (Date.now() < until) {
      const status = await this.alternate();
      if ((status & BUSY) === 0 && (ended === undefined || (await ended(status)))) return;
    }
    throw new Error(`${this.board.name}: the drive is still busy after ${PATIENCE} ms`);
  }

  // ---- commands ----

  /** Loads the task file; with `ext` both halves of it. */
  async load({ feature, count, lba, device }: TaskFile, ext = false): Promise<void> {
    const byte = (value: number, shift: number): number => Math.floor(value / 2 ** shift) & 0xff;
    if (device !== undefined) await this.out(6, device);
    if (ext) {
      if (count !== undefined) await this.out(2, byte(count, 8));
      if (lba !== undefined) for (const at of [0, 1, 2]) await this.out(3 + at, byte(lba, 24 + at * 8));
    }
    if (feature !== undefined) await this.out(1, feature);
    if (count !== undefined) await this.out(2, byte(count, 0));
    if (lba !== undefined) for (const at of [0, 1, 2]) await this.out(3 + at, byte(lba, at * 8));
  }

  #label(code: number): string {
    return `${++this.#count} command ${code.toString(16)}`;
  }

  /** A command without data. */
  async command(code: number, task: TaskFile = {}, ext = false): Promise<void> {
    const label = this.#label(code);
    await this.load(task, ext);
    await this.out(7, code);
    await this.settle();
    await this.noteRegisters(label);
  }

  /** Takes `bytes` from the data port. */
  async take(bytes: number, size: 2 | 4 = 4): Promise<Uint8Array> {
    const values = await Promise.all(Array.from({ length: bytes / size }, () => this.in(0, size)));
    const data = Buffer.alloc(bytes);
    values.forEach((value, i) => data.writeUIntLE(value, i * size, size));
    return data;
  }
  async give(data: Uint8Array, size: 2 | 4 = 4): Promise<void> {
    const buffer = Buffer.from(data);
    const writes: Promise<void>[] = [];
    for (let at = 0; at < data.length; at += size)
      writes.push(this.out(0, buffer.readUIntLE(at, size), size));
    await Promise.all(writes);
  }

  /** A command that answers in blocks of `block` bytes, as long as the drive has any. */
  async pioIn(code: number, task: TaskFile = {}, block = 512, ext = false, size: 2 | 4 = 4): Promise<void> {
    const label = this.#label(code);
    await this.load(task, ext);
    await this.out(7, code);
    for (let n = 0; n < 300; n++) {
      await this.settle();
      await this.noteRegisters(`${label} block ${n}`);
      if (((await this.alternate()) & DATA_REQUEST) === 0) return;
      this.note(`${label} data ${n}`, await this.take(block, size));
    }
  }

  async pioOut(code: number, task: TaskFile, data: Uint8Array, block = 512, ext = false): Promise<void> {
    const label = this.#label(code);
    await this.load(task, ext);
    await this.out(7, code);
    for (let at = 0; at <= data.length; at += block) {
      await this.settle();
      await this.noteRegisters(`${label} at ${at}`);
      if (((await this.alternate()) & DATA_REQUEST) === 0) return;
      await this.give(data.subarray(at, at + block));
    }
    await this.settle();
    await this.noteRegisters(`${label} end`);
  }

  // ---- bus master ----

  async table(pieces: readonly Piece[], end = true): Promise<void> {
    const table = Buffer.alloc(pieces.length * 8);
    pieces.forEach(({ address, bytes }, i) => {
      table.writeUInt32LE(address, i * 8);
      const last = end && i === pieces.length - 1;
      table.writeUInt32LE(((bytes & 0xffff) | (last ? PRD_END : 0)) >>> 0, i * 8 + 4);
    });
    await this.board.writeBytes(TABLE_AT, table);
    await this.setMaster(BM.table, TABLE_AT, 4);
  }

  /** Starts the bus master and waits until the drive asks for nothing more. */
  async run(toMemory: boolean): Promise<void> {
    const direction = toMemory ? BM_COMMAND.toMemory : 0;
    await this.setMaster(BM.status, 0x66);
    await this.setMaster(BM.command, direction);
    await this.setMaster(BM.command, direction | BM_COMMAND.start);
    await this.settle(async (status) => (status & DATA_REQUEST) === 0);
  }

  /** A DMA command; the registers before and after the bus master is stopped. */
  async dma(code: number, task: TaskFile, pieces: readonly Piece[], ext = false): Promise<void> {
    const label = this.#label(code);
    await this.load(task, ext);
    await this.table(pieces);
    await this.out(7, code);
    this.note(`${label} waiting`, await this.alternate());
    await this.run(code !== 0xca && code !== 0x35 && code !== 0x06);
    await this.noteRegisters(label);
    this.note(`${label} command`, await this.master(BM.command));
    await this.setMaster(BM.command, 0);
    this.note(`${label} stopped`, await this.master(BM.status));
    await this.setMaster(BM.status, 0x66);
    this.note(`${label} cleared`, await this.master(BM.status));
  }

  // ---- packets ----

  /** Sends a packet; `limit` is the byte count limit. The answer comes through the data port. */
  async packet(bytes: readonly number[], limit = 0xfffe, size: 2 | 4 = 2): Promise<void> {
    const label = this.#label(0xa0) + ` packet ${bytes[0].toString(16)}`;
    await this.load({ feature: 0, lba: limit << 8 });
    await this.out(7, 0xa0);
    await this.settle();
    await this.noteRegisters(`${label} begin`);
    await this.give(
      Uint8Array.from({ length: 12 }, (_, i) => bytes[i] ?? 0),
      2,
    );
    for (let n = 0; n < 100; n++) {
      await this.settle();
      await this.noteRegisters(`${label} ${n}`);
      if (((await this.alternate()) & DATA_REQUEST) === 0) return;
      const count = (await this.in(4)) | ((await this.in(5)) << 8);
      const whole = Math.ceil(count / size) * size;
      this.note(`${label} data ${n}`, await this.take(whole, size));
      // An odd byte cannot be taken: the drive waits for it until it is reset.
      if (count % size !== 0) return;
    }
  }

  async packetDma(bytes: readonly number[], pieces: readonly Piece[]): Promise<void> {
    const label = this.#label(0xa0) + ` packet ${bytes[0].toString(16)} by DMA`;
    await this.load({ feature: 1, lba: 0 });
    await this.table(pieces);
    await this.out(7, 0xa0);
    await this.settle();
    await this.give(
      Uint8Array.from({ length: 12 }, (_, i) => bytes[i] ?? 0),
      2,
    );
    await this.setMaster(BM.status, 0x66);
    await this.setMaster(BM.command, BM_COMMAND.toMemory | BM_COMMAND.start);
    await this.#packetOver();
    await this.noteRegisters(label);
    for (const { address, bytes: length } of pieces)
      this.note(`${label} data`, await this.board.readBytes(address, length || 0x1_0000));
    await this.setMaster(BM.command, 0);
    this.note(`${label} stopped`, await this.master(BM.status));
  }

  /** Until the drive is done or the table has ended; a drive whose table was too short stays busy until it is reset. */
  async #packetOver(): Promise<void> {
    const until = Date.now() + PATIENCE;
    while (Date.now() < until) {
      if (((await this.alternate()) & (BUSY | DATA_REQUEST)) === 0) return;
      if (((await this.master(BM.status)) & BM_STATUS.active) === 0) return;
    }
    throw new Error(`${this.board.name}: the packet command does not end`);
  }

  /** SRST, and out of it again. */
  async reset(): Promise<void> {
    await this.control(4);
    await this.settle();
    await this.noteRegisters('after SRST');
    await this.control(0);
  }
}

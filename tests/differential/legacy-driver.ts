/** A driver of the legacy interface (virtio 1.2, section 4.1.4.8) through a `Board`; its log is what is compared. */
import { LEGACY } from '#engine/virtio/transport/legacy-header.ts';
import { legacyRing } from '#engine/virtio/transport/legacy-ring.ts';
import { SLOT, type Board } from './board.ts';

const PORT = 0xc000;
export const LEGACY_MSIX_BASE = 0xe100_0000;
const MESSAGES = 0x20_0000;
const QUEUE_AT = 0x30_0000;
const HEADER_AT = 0x40_0000;
const DATA_AT = 0x40_1000;
const STATUS_AT = 0x41_0000;
const SIZE = 256;
const PAGE = 4096;
const PATIENCE = 20_000;
const RING = legacyRing(QUEUE_AT, SIZE, PAGE);

type Access = 1 | 2 | 4;

export class LegacyDriver {
  readonly board: Board;
  readonly log: string[] = [];
  #next = 0;
  #count = 0;

  constructor(board: Board) {
    this.board = board;
  }

  note(key: string, value: number | Uint8Array): void {
    const text = typeof value === 'number' ? `0x${value.toString(16)}` : Buffer.from(value).toString('hex');
    this.log.push(`${key} = ${text}`);
  }

  async config(offset: number, size: Access): Promise<number> {
    await this.board.portWrite(0xcf8, 4, (0x8000_0000 | (SLOT << 11) | (offset & 0xfc)) >>> 0);
    return this.board.portRead(0xcfc + (offset & 3), size);
  }
  async setConfig(offset: number, size: Access, value: number): Promise<void> {
    await this.board.portWrite(0xcf8, 4, (0x8000_0000 | (SLOT << 11) | (offset & 0xfc)) >>> 0);
    await this.board.portWrite(0xcfc + (offset & 3), size, value);
  }

  async noteConfigSpace(label: string): Promise<void> {
    for (let at = 0; at < 256; at += 4) this.note(`${label} ${at.toString(16)}`, await this.config(at, 4));
  }

  /** Sizes the BARs and puts the legacy one and that of MSI-X in their places. */
  async assign(): Promise<void> {
    for (let bar = 0; bar < 6; bar++) {
      await this.setConfig(0x10 + bar * 4, 4, 0xffff_ffff);
      this.note(`bar ${bar} size`, await this.config(0x10 + bar * 4, 4));
      await this.setConfig(0x10 + bar * 4, 4, 0);
    }
    await this.setConfig(0x10, 4, PORT);
    await this.setConfig(0x14, 4, LEGACY_MSIX_BASE);
    await this.setConfig(4, 2, 7);
  }

  read(register: number, size: Access): Promise<number> {
    return this.board.portRead(PORT + register, size);
  }
  write(register: number, size: Access, value: number): Promise<void> {
    return this.board.portWrite(PORT + register, size, value);
  }

  async noteRegisters(label: string, end = 0x40): Promise<void> {
    for (const size of [1, 2, 4] as const) {
      for (let at = 0; at < end; at += size) {
        if (at <= LEGACY.isr && at + size > LEGACY.isr) continue;
        this.note(`${label} ${size} ${at}`, await this.read(at, size));
      }
    }
  }

  async enableMsix(capability: number): Promise<void> {
    for (const vector of [0, 1]) {
      await this.board.write(LEGACY_MSIX_BASE + vector * 16, 4, MESSAGES + vector * 4);
      await this.board.write(LEGACY_MSIX_BASE + vector * 16 + 4, 4, 0);
      await this.board.write(LEGACY_MSIX_BASE + vector * 16 + 8, 4, 0x1230 + vector);
      await this.board.write(LEGACY_MSIX_BASE + vector * 16 + 12, 4, 0);
    }
    await this.setConfig(capability + 2, 2, 0x8000);
    await this.write(LEGACY.configVector, 2, 0);
    await this.write(LEGACY.queueVector, 2, 1);
    this.note('config vector', await this.read(LEGACY.configVector, 2));
    this.note('queue vector', await this.read(LEGACY.queueVector, 2));
    await this.write(LEGACY.queueVector, 2, 9);
    this.note('queue vector that is not there', await this.read(LEGACY.queueVector, 2));
    await this.write(LEGACY.queueVector, 2, 1);
  }

  /** Reset, negotiation and queue 0, as a driver of 2010 does it. */
  async initialise(features: number): Promise<void> {
    await this.write(LEGACY.status, 1, 0);
    await this.write(LEGACY.status, 1, 1);
    await this.write(LEGACY.status, 1, 3);
    this.note('command after driver', await this.config(4, 2));
    await this.write(LEGACY.driverFeatures, 4, features);
    this.note('features taken', await this.read(LEGACY.driverFeatures, 4));
    await this.write(LEGACY.queueSelect, 2, 0);
    this.note('queue size', await this.read(LEGACY.queueSize, 2));
    await this.board.writeBytes(QUEUE_AT, new Uint8Array(0x4000));
    await this.board.writeBytes(MESSAGES, new Uint8Array(8));
    await this.write(LEGACY.queueAddress, 4, QUEUE_AT / PAGE);
    this.note('queue page', await this.read(LEGACY.queueAddress, 4));
    this.#next = 0;
  }

  async start(): Promise<void> {
    await this.write(LEGACY.status, 1, 7);
    this.note('status', await this.read(LEGACY.status, 1));
  }

  /** One request of header, data and status; the answer with its interrupt. */
  async request(type: number, sector: number, data: Uint8Array | number): Promise<void> {
    const label = `request ${++this.#count} type ${type} sector ${sector}`;
    const write = typeof data !== 'number';
    const length = write ? data.length : data;
    const header = new DataView(new ArrayBuffer(16));
    header.setUint32(0, type, true);
    header.setUint32(8, sector, true);
    await this.board.writeBytes(HEADER_AT, new Uint8Array(header.buffer));
    await this.board.writeBytes(DATA_AT, write ? data : new Uint8Array(length).fill(0xee));
    await this.board.writeBytes(STATUS_AT, new Uint8Array([0xff]));
    const table = new DataView(new ArrayBuffer(48));
    for (const [i, [at, bytes, flags]] of [
      [HEADER_AT, 16, 1],
      [DATA_AT, length, write ? 1 : 3],
      [STATUS_AT, 1, 2],
    ].entries()) {
      table.setUint32(i * 16, at, true);
      table.setUint32(i * 16 + 8, bytes, true);
      table.setUint16(i * 16 + 12, flags, true);
      table.setUint16(i * 16 + 14, i + 1, true);
    }
    await this.board.writeBytes(RING.desc, new Uint8Array(table.buffer));
    await this.board.write(RING.driver + 4 + (this.#next % SIZE) * 2, 2, 0);
    await this.board.write(RING.driver + 2, 2, this.#next + 1);
    await this.write(LEGACY.queueNotify, 2, 0);
    const until = Date.now() + PATIENCE;
    while ((await this.board.read(RING.device + 2, 2)) === this.#next) {
      if (Date.now() > until) throw new Error(`${this.board.name} did not answer ${label}`);
    }
    const used = RING.device + 4 + (this.#next % SIZE) * 8;
    this.#next++;
    this.note(`${label} used.id`, await this.board.read(used, 4));
    this.note(`${label} status`, await this.board.read(STATUS_AT, 1));
    if (!write) this.note(`${label} data`, await this.board.readBytes(DATA_AT, length));
    this.note(`${label} messages`, await this.board.readBytes(MESSAGES, 8));
    this.log.push(`${label} lines: ${(await this.board.lines()).join(', ')}`);
    this.note(`${label} isr`, await this.read(LEGACY.isr, 1));
    this.note(`${label} isr again`, await this.read(LEGACY.isr, 1));
    this.log.push(`${label} lines after isr: ${(await this.board.lines()).join(', ')}`);
  }
}

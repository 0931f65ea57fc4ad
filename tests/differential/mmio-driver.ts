/** A driver of virtio over MMIO, both versions, through a `Board`; its log is what is compared. */
import { legacyRing } from '#engine/virtio/transport/legacy-ring.ts';
import { MMIO } from '#engine/virtio/transport/mmio-layout.ts';
import { MMIO_AT, type Board } from './board.ts';

const QUEUE_AT = 0x30_0000;
const HEADER_AT = 0x40_0000;
const DATA_AT = 0x40_1000;
const STATUS_AT = 0x41_0000;
const SIZE = 64;
const PAGE = 4096;
const PATIENCE = 20_000;
const RING = legacyRing(QUEUE_AT, SIZE, PAGE);

export class MmioDriver {
  readonly board: Board;
  readonly log: string[] = [];
  readonly #legacy: boolean;
  #next = 0;
  #count = 0;

  constructor(board: Board, legacy: boolean) {
    this.board = board;
    this.#legacy = legacy;
  }

  note(key: string, value: number | Uint8Array): void {
    const text = typeof value === 'number' ? `0x${value.toString(16)}` : Buffer.from(value).toString('hex');
    this.log.push(`${key} = ${text}`);
  }

  read(register: number, size: 1 | 2 | 4 = 4): Promise<number> {
    return this.board.read(MMIO_AT + register, size);
  }
  write(register: number, value: number, size: 1 | 2 | 4 = 4): Promise<void> {
    return this.board.write(MMIO_AT + register, size, value);
  }

  async noteRegisters(label: string): Promise<void> {
    for (const size of [1, 2, 4] as const) {
      for (let at = 0; at < 0x160; at += size) this.note(`${label} ${size} ${at}`, await this.read(at, size));
    }
  }

  /** Reset, negotiation and queue 0 of 64 entries, in the way of the transport's version. */
  async initialise(low: number, high: number): Promise<void> {
    for (const status of [0, 1, 3]) await this.write(MMIO.status, status);
    for (const [half, bits] of [low, high].entries()) {
      await this.write(MMIO.driverFeaturesSelect, half);
      await this.write(MMIO.driverFeatures, bits);
    }
    if (!this.#legacy) await this.write(MMIO.status, 11);
    this.note('status with features', await this.read(MMIO.status));
    await this.board.writeBytes(QUEUE_AT, new Uint8Array(0x4000));
    await this.write(MMIO.queueSelect, 0);
    this.note('largest queue', await this.read(MMIO.queueSizeMax));
    if (this.#legacy) await this.write(MMIO.guestPageSize, PAGE);
    await this.write(MMIO.queueSize, SIZE);
    if (this.#legacy) {
      await this.write(MMIO.queueAlign, PAGE);
      await this.write(MMIO.queuePage, QUEUE_AT / PAGE);
      this.note('queue page', await this.read(MMIO.queuePage));
    } else {
      await this.write(MMIO.queueDesc, RING.desc);
      await this.write(MMIO.queueDriver, RING.driver);
      await this.write(MMIO.queueDevice, RING.device);
      await this.write(MMIO.queueReady, 1);
      this.note('queue ready', await this.read(MMIO.queueReady));
    }
    await this.write(MMIO.status, this.#legacy ? 7 : 15);
    this.note('status', await this.read(MMIO.status));
    this.#next = 0;
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
    await this.write(MMIO.queueNotify, 0);
    const until = Date.now() + PATIENCE;
    while ((await this.board.read(RING.device + 2, 2)) === this.#next) {
      if (Date.now() > until) throw new Error(`${this.board.name} did not answer ${label}`);
    }
    this.note(`${label} used.id`, await this.board.read(RING.device + 4 + (this.#next % SIZE) * 8, 4));
    this.#next++;
    this.note(`${label} status`, await this.board.read(STATUS_AT, 1));
    if (!write) this.note(`${label} data`, await this.board.readBytes(DATA_AT, length));
    this.log.push(`${label} lines: ${(await this.board.lines()).join(', ')}`);
    this.note(`${label} interrupt status`, await this.read(MMIO.interruptStatus));
    await this.write(MMIO.interruptAck, 1);
    this.note(`${label} after the acknowledgement`, await this.read(MMIO.interruptStatus));
    this.log.push(`${label} lines after it: ${(await this.board.lines()).join(', ')}`);
  }
}

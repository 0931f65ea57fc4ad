/** The script's driver: finds the device, sets it up and makes requests through a `Board`, writing down every answer it gets. */
import { BLK_T } from '#engine/virtio/blk/protocol.ts';
import { CAP_AT, COMMON, REGION } from '#engine/virtio/transport/pci-layout.ts';
import { SLOT, type Board } from './board.ts';
import {
  AVAIL,
  QUEUE_AT,
  SIZE,
  SplitScriptRing,
  USED,
  type ScriptBuffer,
  type ScriptRing,
} from './script-ring.ts';

export const MSIX_BASE = 0xe100_0000;
export const BAR_BASE = 0xe000_0000;
/** Where MSI-X messages go: ordinary memory, so that both machines can be looked at. */
export const MESSAGES = 0x20_0000;
const BUFFERS_AT = 0x40_0000;
/** How long to wait for a request that QEMU works on in its own thread, milliseconds. */
const PATIENCE = 20_000;

export type Access = 1 | 2 | 4;

export interface Piece {
  /** Bytes to read for the device, or how many it may write. */
  bytes: Uint8Array | number;
}

export class ScriptDriver {
  readonly board: Board;
  /** What happened, one line each: the transcript that is compared. */
  readonly log: string[] = [];
  /** Numbers of the requests whose status was not OK. */
  readonly failedRequests = new Set<string>();
  #count = 0;
  readonly ring: ScriptRing;

  /** The ring is a split one unless another is given. */
  constructor(board: Board, ring: (board: Board) => ScriptRing = (on) => new SplitScriptRing(on)) {
    this.board = board;
    this.ring = ring(board);
  }

  note(key: string, value: number | bigint | string | Uint8Array): void {
    let text = String(value);
    if (typeof value === 'number') text = `0x${(value >>> 0).toString(16)}`;
    if (value instanceof Uint8Array) text = Buffer.from(value).toString('hex');
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
  common(offset: number, size: Access): Promise<number> {
    return this.board.read(BAR_BASE + REGION.common + offset, size);
  }
  setCommon(offset: number, size: Access, value: number): Promise<void> {
    return this.board.write(BAR_BASE + REGION.common + offset, size, value);
  }
  device(offset: number, size: Access): Promise<number> {
    return this.board.read(BAR_BASE + REGION.device + offset, size);
  }

  /** The whole of configuration space, in words of four bytes. */
  async noteConfigSpace(label: string): Promise<void> {
    for (let at = 0; at < 256; at += 4) this.note(`${label} ${at.toString(16)}`, await this.config(at, 4));
  }

  /** Sizes the BARs and puts them in their places. */
  async assign(): Promise<void> {
    for (let bar = 0; bar < 6; bar++) {
      await this.setConfig(0x10 + bar * 4, 4, 0xffff_ffff);
      this.note(`bar ${bar} size`, await this.config(0x10 + bar * 4, 4));
      await this.setConfig(0x10 + bar * 4, 4, 0);
    }
    await this.setConfig(0x14, 4, MSIX_BASE);
    await this.setConfig(0x20, 4, BAR_BASE);
    await this.setConfig(4, 2, 7);
  }

  /** Points both MSI-X entries at memory and turns MSI-X on. */
  async enableMsix(): Promise<void> {
    for (const vector of [0, 1]) {
      await this.board.write(MSIX_BASE + vector * 16, 4, MESSAGES + vector * 4);
      await this.board.write(MSIX_BASE + vector * 16 + 4, 4, 0);
      await this.board.write(MSIX_BASE + vector * 16 + 8, 4, 0xabc0 + vector);
      await this.board.write(MSIX_BASE + vector * 16 + 12, 4, 0);
    }
    await this.setConfig(CAP_AT.msix + 2, 2, 0x8000);
    this.note('msix control', await this.config(CAP_AT.msix + 2, 2));
  }

  /** Reset, negotiation and one queue; `features` as low and high words. */
  async initialise(features: [number, number], msix: boolean): Promise<void> {
    await this.setCommon(COMMON.status, 1, 0);
    this.note('status after reset', await this.common(COMMON.status, 1));
    for (const bits of [1, 3]) await this.setCommon(COMMON.status, 1, bits);
    for (const half of [0, 1]) {
      await this.setCommon(COMMON.driverFeatureSelect, 4, half);
      await this.setCommon(COMMON.driverFeature, 4, features[half]);
    }
    await this.setCommon(COMMON.status, 1, 11);
    this.note('status with features', await this.common(COMMON.status, 1));
    await this.setCommon(COMMON.configVector, 2, msix ? 0 : 0xffff);
    await this.setCommon(COMMON.queueSelect, 2, 0);
    await this.setCommon(COMMON.queueSize, 2, SIZE);
    await this.setCommon(COMMON.queueVector, 2, msix ? 1 : 0xffff);
    await this.board.writeBytes(QUEUE_AT, new Uint8Array(0x2000));
    await this.board.writeBytes(MESSAGES, new Uint8Array(8));
    for (const [register, address] of [
      [COMMON.queueDesc, QUEUE_AT],
      [COMMON.queueDriver, AVAIL],
      [COMMON.queueDevice, USED],
    ]) {
      await this.setCommon(register, 4, address);
      await this.setCommon(register + 4, 4, 0);
    }
    await this.setCommon(COMMON.queueEnable, 2, 1);
    await this.setCommon(COMMON.status, 1, 15);
    this.note('status running', await this.common(COMMON.status, 1));
    this.ring.reset();
    this.#count = 0;
  }

  /** Offers one chain, optionally through an indirect table, rings the doorbell, and waits for the answer or for a fault. */
  async chain(label: string, pieces: readonly Piece[], indirect = false): Promise<void> {
    let at = BUFFERS_AT + 4096;
    const places: number[] = [];
    const buffers: ScriptBuffer[] = [];
    for (const { bytes } of pieces) {
      const writable = typeof bytes === 'number';
      const length = writable ? bytes : bytes.length;
      await this.board.writeBytes(at, writable ? new Uint8Array(length).fill(0xee) : bytes);
      buffers.push({ address: at, length, writable });
      places.push(at);
      at += Math.ceil((length + 1) / 64) * 64;
    }
    await this.ring.describe(buffers, indirect ? BUFFERS_AT : undefined);
    if (await this.kick()) await this.#noteAnswer(label, pieces, places);
    else this.note(`${label} fault`, await this.common(COMMON.status, 1));
  }

  /** Offers what was described (or the chain that starts at `head`) and rings the doorbell; false: the device asks to be reset. */
  async kick(head = 0): Promise<boolean> {
    await this.ring.offer(head);
    await this.board.write(BAR_BASE + REGION.notify, 2, 0);
    const until = Date.now() + PATIENCE;
    while (Date.now() < until) {
      if (await this.ring.answered()) return true;
      if (((await this.common(COMMON.status, 1)) & 0x40) !== 0) return false;
    }
    throw new Error(`${this.board.name} did not answer within ${PATIENCE} ms`);
  }

  /** Remembers a request whose status byte, the last one of its last buffer, is not OK. */
  async #noteStatus(label: string, at: number): Promise<void> {
    if ((await this.board.read(at, 1)) !== 0) this.failedRequests.add(label.split(' ')[1]);
  }

  async #noteAnswer(label: string, pieces: readonly Piece[], places: readonly number[]): Promise<void> {
    await this.ring.noteUsed((key, value) => this.note(`${label} ${key}`, value));
    for (const [i, { bytes }] of pieces.entries()) {
      if (typeof bytes === 'number')
        this.note(`${label} buffer ${i}`, await this.board.readBytes(places[i], bytes));
    }
    await this.#noteStatus(label, places[places.length - 1]);
    await this.ring.noteSuppression((key, value) => this.note(`${label} ${key}`, value));
    await this.#noteInterrupts(label);
  }

  async #noteInterrupts(label: string): Promise<void> {
    this.note(`${label} messages`, await this.board.readBytes(MESSAGES, 8));
    await this.board.writeBytes(MESSAGES, new Uint8Array(8));
    this.note(`${label} isr`, await this.board.read(BAR_BASE + REGION.isr, 1));
    this.note(`${label} isr again`, await this.board.read(BAR_BASE + REGION.isr, 1));
  }

  /** A request with header and status byte. */
  request(type: number, sector: number | bigint, data: readonly Piece[], indirect = false): Promise<void> {
    const header = new DataView(new ArrayBuffer(16));
    header.setUint32(0, type, true);
    header.setBigUint64(8, BigInt(sector), true);
    const label = `request ${++this.#count} type ${type} sector ${sector}`;
    return this.chain(label, [{ bytes: new Uint8Array(header.buffer) }, ...data, { bytes: 1 }], indirect);
  }

  read(sector: number | bigint, bytes: number, indirect = false): Promise<void> {
    return this.request(BLK_T.in, sector, [{ bytes }], indirect);
  }
}

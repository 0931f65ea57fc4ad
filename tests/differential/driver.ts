/** The script's driver of virtio-blk: sets the device up and makes requests through a `Board`, writing down every answer it gets. */
import { BLK_T } from '#engine/virtio/blk/protocol.ts';
import type { Board } from './board.ts';
import { MmioTransport } from './mmio-transport.ts';
import { PciTransport } from './pci-transport.ts';
import {
  PackedScriptRing,
  SIZE,
  SplitScriptRing,
  type RingMaker,
  type ScriptBuffer,
  type ScriptRing,
} from './script-ring.ts';
import { negotiate, running, type ScriptTransport } from './script-transport.ts';
import { Transcript, type Note, type Value } from './transcript.ts';

const BUFFERS_AT = 0x40_0000;
/** How long to wait for a request that QEMU works on in its own thread, milliseconds. */
const PATIENCE = 20_000;

export interface Piece {
  /** Bytes to read for the device, or how many it may write. */
  bytes: Uint8Array | number;
}

/** Rings of the two layouts. */
export const SPLIT: RingMaker = (board, queue) => new SplitScriptRing(board, queue);
export const PACKED: RingMaker = (board, queue) => new PackedScriptRing(board, queue);

export class BlkScript<Transport extends ScriptTransport = ScriptTransport> {
  readonly board: Board;
  readonly transport: Transport;
  readonly ring: ScriptRing;
  /** Numbers of the requests whose status was not OK. */
  readonly failedRequests = new Set<string>();
  readonly #transcript = new Transcript();
  #count = 0;

  constructor(board: Board, transport: (board: Board, note: Note) => Transport, ring: RingMaker = SPLIT) {
    this.board = board;
    this.transport = transport(board, this.#transcript.note);
    this.ring = ring(board, 0);
  }

  /** The transcript that is compared. */
  get log(): readonly string[] {
    return this.#transcript.lines;
  }
  note(key: string, value: Value): void {
    this.#transcript.note(key, value);
  }

  /** Reset, negotiation and one queue; `features` as low and high words. */
  async initialise(features: readonly [number, number]): Promise<void> {
    const { transport, ring } = this;
    await negotiate(transport, features, this.#transcript.note);
    await ring.reset();
    await transport.setUpQueue(0, SIZE, ring.at);
    await running(transport, this.#transcript.note);
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
    else this.note(`${label} fault`, await this.transport.status());
  }

  /** Offers what was described (or the chain that starts at `head`) and rings the doorbell; false: the device asks to be reset. */
  async kick(head = 0): Promise<boolean> {
    await this.offer(head);
    return this.answered();
  }

  async offer(head = 0): Promise<void> {
    await this.ring.offer(head);
    await this.transport.notify(0);
  }

  /** Waits for an answer; false: the device asks to be reset. */
  async answered(): Promise<boolean> {
    const until = Date.now() + PATIENCE;
    while (Date.now() < until) {
      if (await this.ring.answered()) return true;
      if (((await this.transport.status()) & 0x40) !== 0) return false;
    }
    throw new Error(`${this.board.name} did not answer within ${PATIENCE} ms`);
  }

  /** Remembers a request whose status byte, the last one of its last buffer, is not OK. */
  async #noteStatus(label: string, at: number): Promise<void> {
    if ((await this.board.read(at, 1)) !== 0) this.failedRequests.add(label.split(' ')[1]);
  }

  async #noteAnswer(label: string, pieces: readonly Piece[], places: readonly number[]): Promise<void> {
    await this.ring.takeUsed((key, value) => this.note(`${label} ${key}`, value));
    for (const [i, { bytes }] of pieces.entries()) {
      if (typeof bytes === 'number')
        this.note(`${label} buffer ${i}`, await this.board.readBytes(places[i], bytes));
    }
    await this.#noteStatus(label, places[places.length - 1]);
    await this.ring.noteSuppression((key, value) => this.note(`${label} ${key}`, value));
    await this.transport.noteInterrupts(label, this.#transcript.note);
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

/** virtio-blk-pci; the ring is a split one unless another is given. */
export class ScriptDriver extends BlkScript<PciTransport> {
  constructor(board: Board, ring: RingMaker = SPLIT) {
    super(board, (on, note) => new PciTransport(on, note), ring);
  }

  /** Gives the function its addresses, and with `msix` a vector for configuration changes and one for the queue. */
  async find(msix = true): Promise<void> {
    await this.transport.assign();
    if (msix) await this.transport.enableMsix(2);
  }
}

/** virtio-blk-device on a virtio-mmio transport. */
export class MmioScript extends BlkScript<MmioTransport> {
  constructor(board: Board, legacy: boolean, ring: RingMaker = SPLIT) {
    super(board, (on, note) => new MmioTransport(on, note, legacy), ring);
  }
}

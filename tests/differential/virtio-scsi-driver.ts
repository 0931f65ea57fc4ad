/** The script's driver of virtio-scsi: sets its queues up, sends commands and control requests, writes every answer down. */
import { encodeAddress, QUEUE, TMF_REQ } from '#engine/virtio/scsi/protocol.ts';
import type { Board } from './board.ts';
import { PACKED, SPLIT } from './driver.ts';
import { MmioTransport } from './mmio-transport.ts';
import { PciTransport } from './pci-transport.ts';
import { SIZE, type ScriptRing, type UsedElement } from './script-ring.ts';
import { negotiate, running, type Access, type ScriptTransport } from './script-transport.ts';
import { Transcript, type Value } from './transcript.ts';

const BUFFERS_AT = 0x40_0000;
/** Each queue's buffers, then its indirect tables. */
const QUEUE_BUFFERS = 0x10_0000;
const TABLES = 0xf_0000;
const QUEUES = [QUEUE.control, QUEUE.event, QUEUE.request] as const;
/** How long to wait for a request that QEMU works on in its own thread, milliseconds. */
const PATIENCE = 20_000;
const NEEDS_RESET = 0x40;
export const SENSE_SIZE = 96;
export const CDB_SIZE = 32;
/** What memory that the device may write holds before. */
const UNTOUCHED = 0xee;

/** HOTPLUG and CHANGE, VERSION_1: low and high word. */
export const SCSI_PLAIN = [6, 1] as const;
/** In the high word. */
const RING_PACKED = 1 << 2;

/** How the device is connected. */
export interface ScsiConnection {
  transport: 'pci' | 'mmio';
  packed: boolean;
}

export interface ScsiCommandScript {
  cdb: readonly number[];
  target?: number;
  lun?: number;
  /** The eight bytes, instead of target and lun. */
  address?: Uint8Array;
  /** Data for the device, or how many bytes it may write. */
  out?: Uint8Array;
  into?: number;
  tag?: number;
}

/** A command that the device has not answered yet, and where its buffers lie. */
export interface PendingScsiCommand {
  label: string;
  script: ScsiCommandScript;
  places: readonly number[];
}

/** What came back, for scripts that have to look at it. */
export interface ScsiResult {
  response: number;
  status: number;
  sense: Uint8Array;
  data: Uint8Array;
}

export class ScsiScriptDriver {
  readonly board: Board;
  readonly transport: ScriptTransport;
  readonly rings: readonly ScriptRing[];
  readonly #pci: PciTransport | undefined;
  readonly #packed: boolean;
  readonly #transcript = new Transcript();
  #count = 0;
  cdbSize = CDB_SIZE;
  senseSize = SENSE_SIZE;
  /** Chains go through indirect tables. */
  indirect = false;

  constructor(board: Board, connection: ScsiConnection = { transport: 'pci', packed: false }) {
    this.board = board;
    const { note } = this.#transcript;
    this.#packed = connection.packed;
    this.rings = QUEUES.map((queue) => (connection.packed ? PACKED : SPLIT)(board, queue));
    if (connection.transport === 'pci') this.#pci = new PciTransport(board, note);
    this.transport = this.#pci ?? new MmioTransport(board, note);
  }

  /** Throws when the device is on another transport. */
  get pci(): PciTransport {
    if (this.#pci === undefined) throw new Error('the device is no PCI function');
    return this.#pci;
  }
  get log(): readonly string[] {
    return this.#transcript.lines;
  }
  note(key: string, value: Value): void {
    this.#transcript.note(key, value);
  }
  config(offset: number, size: Access): Promise<number> {
    return this.transport.device(offset, size);
  }
  setConfig(offset: number, size: Access, value: number): Promise<void> {
    return this.transport.setDevice(offset, size, value);
  }

  async start(): Promise<void> {
    if (this.#pci !== undefined) {
      await this.#pci.assign();
      await this.#pci.enableMsix(QUEUES.length + 1);
    }
    await this.initialise();
  }

  /** Reset, negotiation, and three queues with a vector each. */
  async initialise([low, high]: readonly [number, number] = SCSI_PLAIN): Promise<void> {
    const { transport } = this;
    await negotiate(transport, [low, high | (this.#packed ? RING_PACKED : 0)], this.#transcript.note);
    for (const [queue, ring] of this.rings.entries()) {
      await ring.reset();
      await transport.setUpQueue(queue, SIZE, ring.at);
    }
    await running(transport, this.#transcript.note);
    this.cdbSize = CDB_SIZE;
    this.senseSize = SENSE_SIZE;
  }

  /** Puts a chain of buffers into the ring, a split one from descriptor `first` on; where each buffer lies. */
  async offer(queue: number, pieces: readonly (Uint8Array | number)[], first = 0): Promise<number[]> {
    const base = BUFFERS_AT + queue * QUEUE_BUFFERS;
    let at = base + first * 0x1000;
    const buffers = [];
    for (const piece of pieces) {
      const writable = typeof piece === 'number';
      const bytes = writable ? new Uint8Array(piece).fill(UNTOUCHED) : piece;
      await this.board.writeBytes(at, bytes);
      buffers.push({ address: at, length: bytes.length, writable });
      at += Math.ceil((bytes.length + 1) / 64) * 64;
    }
    const table = this.indirect ? base + TABLES + first * SIZE * 16 : undefined;
    await this.rings[queue].describe(buffers, table, first);
    await this.rings[queue].offer(first);
    return buffers.map(({ address }) => address);
  }

  kick(queue: number): Promise<void> {
    return this.transport.notify(queue);
  }

  /** Waits for the next used element; undefined when the device asks to be reset. Its length is the caller's to compare. */
  async taken(queue: number): Promise<UsedElement | undefined> {
    const until = Date.now() + PATIENCE;
    while (Date.now() < until) {
      if (await this.rings[queue].answered()) {
        return this.rings[queue].takeUsed((key, value) => {
          if (key !== 'used.len') this.note(`queue ${queue} ${key}`, value);
        });
      }
      if (((await this.transport.status()) & NEEDS_RESET) !== 0) return undefined;
    }
    throw new Error(`${this.board.name} did not answer within ${PATIENCE} ms`);
  }

  header({ cdb, target = 0, lun = 0, address, tag = 0 }: ScsiCommandScript): Uint8Array {
    const header = new Uint8Array(19 + this.cdbSize);
    header.set(address ?? encodeAddress(target, lun));
    new DataView(header.buffer).setUint32(8, tag, true);
    header.set(cdb.slice(0, this.cdbSize), 19);
    return header;
  }

  /** One command, its answer written down. */
  async command(script: ScsiCommandScript): Promise<ScsiResult | undefined> {
    return this.finish(await this.begin(script));
  }

  /** Hands a command to the device. */
  async begin(script: ScsiCommandScript): Promise<PendingScsiCommand> {
    const { cdb, out, into = 0 } = script;
    const label = `command ${this.#count++} ${Buffer.from(cdb).toString('hex')} ${script.target ?? 0}:${script.lun ?? 0}`;
    const pieces: (Uint8Array | number)[] = [this.header({ tag: this.#count, ...script })];
    if (out !== undefined) pieces.push(out);
    pieces.push(12 + this.senseSize);
    if (into > 0) pieces.push(into);
    const places = await this.offer(QUEUE.request, pieces);
    await this.kick(QUEUE.request);
    return { label, script, places };
  }

  /** Waits for its answer; what may differ can be left out of the log. */
  async finish(
    { label, script, places }: PendingScsiCommand,
    { withData = true, withResidual = true } = {},
  ): Promise<ScsiResult | undefined> {
    const { out, into = 0 } = script;
    const used = await this.taken(QUEUE.request);
    if (used === undefined) {
      this.note(`${label} fault`, await this.transport.status());
      return undefined;
    }
    const answerAt = places[out === undefined ? 1 : 2];
    const answer = await this.board.readBytes(answerAt, 12 + this.senseSize);
    const view = new DataView(answer.buffer);
    const senseLength = Math.min(view.getUint32(0, true), this.senseSize);
    const sense = answer.subarray(12, 12 + senseLength);
    this.note(`${label} answer`, answer.subarray(withResidual ? 0 : 8, 12));
    this.note(`${label} sense`, sense);
    const data = into > 0 ? await this.board.readBytes(places.at(-1) ?? 0, into) : new Uint8Array(0);
    const status = answer[10];
    const response = answer[11];
    if (withData) this.note(`${label} data`, data);
    // differs: scsi-written; where all is there it is the same.
    if (
      withResidual &&
      out === undefined &&
      status === 0 &&
      response === 0 &&
      view.getUint32(4, true) === 0
    ) {
      this.note(`${label} used.len`, used.length);
    }
    return { response, status, sense, data };
  }

  /** A request on the control queue; the answer has `into` bytes. */
  async control(name: string, request: Uint8Array, into: number): Promise<void> {
    const label = `control ${this.#count++} ${name}`;
    const pieces: (Uint8Array | number)[] = [request];
    if (into > 0) pieces.push(into);
    const places = await this.offer(QUEUE.control, pieces);
    await this.kick(QUEUE.control);
    const used = await this.taken(QUEUE.control);
    if (used === undefined) {
      this.note(`${label} fault`, await this.transport.status());
      return;
    }
    this.note(`${label} used.len`, used.length);
    if (into > 0) this.note(`${label} answer`, await this.board.readBytes(places[1], into));
  }

  tmf(subtype: number, target: number, lun: number, tag = 0): Promise<void> {
    const bytes = new Uint8Array(TMF_REQ.bytes);
    const view = new DataView(bytes.buffer);
    view.setUint32(TMF_REQ.subtype, subtype, true);
    bytes.set(encodeAddress(target, lun), TMF_REQ.lun);
    view.setUint32(TMF_REQ.tag, tag, true);
    return this.control(`tmf ${subtype} ${target}:${lun}`, bytes, 1);
  }

  noteInterrupts(label: string): Promise<void> {
    return this.transport.noteInterrupts(label, this.#transcript.note);
  }
  /** What the device says about the doorbells of its queues. */
  async noteSuppression(label: string): Promise<void> {
    for (const [queue, ring] of this.rings.entries())
      await ring.noteSuppression((key, value) => this.note(`${label} queue ${queue} ${key}`, value));
  }
}

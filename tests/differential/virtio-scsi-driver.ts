/** The script's driver of a virtio-scsi-pci: finds it, sets its queues up, sends commands and control requests, writes every answer down. */
import { encodeAddress, QUEUE, TMF_REQ } from '#engine/virtio/scsi/protocol.ts';
import { CAP_AT, COMMON, REGION } from '#engine/virtio/transport/pci-layout.ts';
import type { Board } from './board.ts';
import { BAR_BASE, MESSAGES, MSIX_BASE, ScriptDriver, type Access } from './driver.ts';

const SIZE = 16;
/** Each queue has 8 KiB: descriptors, available ring, and the used ring in its second half. */
const queueAt = (queue: number): number => 0x30_0000 + queue * 0x2000;
const availAt = (queue: number): number => queueAt(queue) + SIZE * 16;
const usedAt = (queue: number): number => queueAt(queue) + 0x1000;
const BUFFERS_AT = 0x40_0000;
const VECTORS = 4;
/** How long to wait for a request that QEMU works on in its own thread, milliseconds. */
const PATIENCE = 20_000;
export const SENSE_SIZE = 96;
export const CDB_SIZE = 32;
/** What memory that the device may write holds before. */
const UNTOUCHED = 0xee;

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

/** What came back, for scripts that have to look at it. */
export interface ScsiResult {
  response: number;
  status: number;
  sense: Uint8Array;
  data: Uint8Array;
}

export class ScsiScriptDriver {
  readonly board: Board;
  readonly base: ScriptDriver;
  readonly #avail = [0, 0, 0];
  readonly #used = [0, 0, 0];
  #count = 0;
  cdbSize = CDB_SIZE;
  senseSize = SENSE_SIZE;

  constructor(board: Board) {
    this.board = board;
    this.base = new ScriptDriver(board);
  }
  get log(): string[] {
    return this.base.log;
  }
  note(key: string, value: number | bigint | string | Uint8Array): void {
    this.base.note(key, value);
  }
  config(offset: number, size: Access): Promise<number> {
    return this.base.device(offset, size);
  }
  setConfig(offset: number, size: Access, value: number): Promise<void> {
    return this.board.write(BAR_BASE + REGION.device + offset, size, value);
  }

  async start(features: [number, number] = [6, 1]): Promise<void> {
    await this.base.assign();
    await this.#enableMsix();
    await this.initialise(features);
  }

  async #enableMsix(): Promise<void> {
    for (let vector = 0; vector < VECTORS; vector++) {
      const at = MSIX_BASE + vector * 16;
      for (const [offset, value] of [
        [0, MESSAGES + vector * 4],
        [4, 0],
        [8, 0xabc0 + vector],
        [12, 0],
      ]) {
        await this.board.write(at + offset, 4, value);
      }
    }
    await this.base.setConfig(CAP_AT.msix + 2, 2, 0x8000);
  }

  /** Reset, negotiation, and three queues with a vector each. */
  async initialise([low, high]: [number, number]): Promise<void> {
    const { base } = this;
    await base.setCommon(COMMON.status, 1, 0);
    this.note('status after reset', await base.common(COMMON.status, 1));
    for (const bits of [1, 3]) await base.setCommon(COMMON.status, 1, bits);
    for (const [half, bits] of [low, high].entries()) {
      await base.setCommon(COMMON.driverFeatureSelect, 4, half);
      await base.setCommon(COMMON.driverFeature, 4, bits);
    }
    await base.setCommon(COMMON.status, 1, 11);
    this.note('status with features', await base.common(COMMON.status, 1));
    await base.setCommon(COMMON.configVector, 2, 0);
    await this.board.writeBytes(MESSAGES, new Uint8Array(VECTORS * 4));
    for (const queue of [0, 1, 2]) await this.#setUpQueue(queue);
    await base.setCommon(COMMON.status, 1, 15);
    this.note('status running', await base.common(COMMON.status, 1));
    this.cdbSize = CDB_SIZE;
    this.senseSize = SENSE_SIZE;
  }

  async #setUpQueue(queue: number): Promise<void> {
    const { base } = this;
    await this.board.writeBytes(queueAt(queue), new Uint8Array(0x2000));
    await base.setCommon(COMMON.queueSelect, 2, queue);
    await base.setCommon(COMMON.queueSize, 2, SIZE);
    await base.setCommon(COMMON.queueVector, 2, queue + 1);
    for (const [register, address] of [
      [COMMON.queueDesc, queueAt(queue)],
      [COMMON.queueDriver, availAt(queue)],
      [COMMON.queueDevice, usedAt(queue)],
    ]) {
      await base.setCommon(register, 4, address);
      await base.setCommon(register + 4, 4, 0);
    }
    await base.setCommon(COMMON.queueEnable, 2, 1);
    this.#avail[queue] = this.#used[queue] = 0;
  }

  /** Puts a chain of buffers into the ring from descriptor `first` on; where each buffer lies. */
  async offer(queue: number, pieces: readonly (Uint8Array | number)[], first = 0): Promise<number[]> {
    const table = new DataView(new ArrayBuffer(pieces.length * 16));
    let at = BUFFERS_AT + queue * 0x10_0000 + first * 0x1000;
    const places: number[] = [];
    for (const [i, piece] of pieces.entries()) {
      const readable = typeof piece !== 'number';
      const bytes = readable ? piece : new Uint8Array(piece).fill(UNTOUCHED);
      await this.board.writeBytes(at, bytes);
      table.setUint32(i * 16, at, true);
      table.setUint32(i * 16 + 8, bytes.length, true);
      table.setUint16(i * 16 + 12, (readable ? 0 : 2) | (i < pieces.length - 1 ? 1 : 0), true);
      table.setUint16(i * 16 + 14, first + i + 1, true);
      places.push(at);
      at += Math.ceil((bytes.length + 1) / 64) * 64;
    }
    await this.board.writeBytes(queueAt(queue) + first * 16, new Uint8Array(table.buffer));
    await this.board.write(availAt(queue) + 4 + (this.#avail[queue] % SIZE) * 2, 2, first);
    this.#avail[queue] = (this.#avail[queue] + 1) & 0xffff;
    await this.board.write(availAt(queue) + 2, 2, this.#avail[queue]);
    return places;
  }

  async kick(queue: number): Promise<void> {
    await this.board.write(BAR_BASE + REGION.notify + queue * 4, 2, queue);
  }

  /** Waits for the next used element; its length, or undefined when the device asks to be reset. */
  async taken(queue: number): Promise<{ id: number; length: number } | undefined> {
    const until = Date.now() + PATIENCE;
    while (Date.now() < until) {
      if ((await this.board.read(usedAt(queue) + 2, 2)) !== this.#used[queue]) {
        const element = usedAt(queue) + 4 + (this.#used[queue] % SIZE) * 8;
        this.#used[queue] = (this.#used[queue] + 1) & 0xffff;
        return { id: await this.board.read(element, 4), length: await this.board.read(element + 4, 4) };
      }
      if (((await this.base.common(COMMON.status, 1)) & 0x40) !== 0) return undefined;
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
    const { cdb, out, into = 0 } = script;
    const label = `command ${this.#count++} ${Buffer.from(cdb).toString('hex')} ${script.target ?? 0}:${script.lun ?? 0}`;
    const pieces: (Uint8Array | number)[] = [this.header({ tag: this.#count, ...script })];
    if (out !== undefined) pieces.push(out);
    pieces.push(12 + this.senseSize);
    if (into > 0) pieces.push(into);
    const places = await this.offer(QUEUE.request, pieces);
    await this.kick(QUEUE.request);
    const used = await this.taken(QUEUE.request);
    if (used === undefined) {
      this.note(`${label} fault`, await this.base.common(COMMON.status, 1));
      return undefined;
    }
    const answerAt = places[out === undefined ? 1 : 2];
    const answer = await this.board.readBytes(answerAt, 12 + this.senseSize);
    const view = new DataView(answer.buffer);
    const senseLength = Math.min(view.getUint32(0, true), this.senseSize);
    const sense = answer.subarray(12, 12 + senseLength);
    this.note(`${label} used.id`, used.id);
    this.note(`${label} answer`, answer.subarray(0, 12));
    this.note(`${label} sense`, sense);
    const data = into > 0 ? await this.board.readBytes(places.at(-1) ?? 0, into) : new Uint8Array(0);
    const status = answer[10];
    const response = answer[11];
    this.note(`${label} data`, data);
    // What QEMU counts as written has nothing to do with what was, but where all is there it is the same.
    if (out === undefined && status === 0 && response === 0 && view.getUint32(4, true) === 0) {
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
      this.note(`${label} fault`, await this.base.common(COMMON.status, 1));
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

  async noteInterrupts(label: string): Promise<void> {
    this.note(`${label} messages`, await this.board.readBytes(MESSAGES, VECTORS * 4));
    await this.board.writeBytes(MESSAGES, new Uint8Array(VECTORS * 4));
    this.note(`${label} isr`, await this.board.read(BAR_BASE + REGION.isr, 1));
  }
}

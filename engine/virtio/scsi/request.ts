/** One request of the SCSI host: a copy of its header, its buffers, what the bus made of it, and the host's request. */
import { HostRequest } from '../../machine/host-io.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { CdbReader } from '../../scsi/cdb.ts';
import { blockTransfer, STATUS } from '../../scsi/command.ts';
import type { Sense } from '../../scsi/sense.ts';
import { DIRECTION } from '../../scsi/transfer.ts';
import type { VirtQueueState } from '../device.ts';
import type { QueueElement } from '../queue/element.ts';
import { CDB_SIZE_LIMIT } from './config.ts';
import { CMD_REQ, lunOf, RESPONSE, targetOf } from './protocol.ts';

/** What a request is: which queue it came from, and on the control queue what it asks for. */
export const KIND = { command: 0, tmf: 1, notification: 2, unknown: 3, event: 4 } as const;

/** Where the request stands; a task management request waits for the commands that it cancelled. */
export const PLACE = { free: 0, device: 1, host: 2, waiting: 3 } as const;

export class ScsiRequest {
  kind: number = KIND.command;
  place: number = PLACE.free;
  requestId = 0;
  queue!: VirtQueueState;
  element!: QueueElement;
  /** The device's generation when it was taken: a reset makes it void. */
  generation = 0;
  target = -1;
  lun = 0;
  tagLow = 0;
  tagHigh = 0;
  readonly cdb = new CdbReader();
  /** The CDB could be decoded. */
  parsed = false;
  /** The unit attention that it will report. */
  attention: Sense | undefined;
  /** Bytes that the CDB asks to move. */
  bytes = 0;
  /** Bytes of data and which way they go; both ways is refused. */
  dataBytes = 0;
  direction: number = DIRECTION.none;
  both = false;
  readonly transfer = blockTransfer();
  /** The bus took it into its task set. */
  queued = false;
  /** The unit carries it out itself. */
  byUnit = false;
  /** The flush before a read is under way. */
  flushing = false;
  /** Sent to a target that a cancellation has to answer for: one of `RESPONSE`, or 0. */
  cancelled: number = RESPONSE.ok;
  /** The task management request that waits for this one. */
  waiter: ScsiRequest | undefined;
  /** For a task management request: how many commands it waits for. */
  remaining = 0;
  subtype = 0;
  // The answer.
  response: number = RESPONSE.ok;
  status: number = STATUS.good;
  moved = 0;
  sense: Sense | undefined;
  /** Bytes that the device wrote into the guest's memory. */
  written = 0;
  readonly host: HostRequest;
  next: ScsiRequest | undefined;
  /** The header as it was copied. */
  readonly header = new Uint8Array(Math.ceil((CMD_REQ.cdb + CDB_SIZE_LIMIT) / 4) * 4);
  readonly headerView = new DataView(this.header.buffer);
  readonly #words = new Uint32Array(this.header.buffer);

  constructor(finished: (request: ScsiRequest) => void) {
    this.host = new HostRequest(() => finished(this));
  }

  begin(queue: VirtQueueState, element: QueueElement, requestId: number, generation: number): this {
    this.kind = KIND.command;
    this.place = PLACE.device;
    this.queue = queue;
    this.element = element;
    this.requestId = requestId;
    this.generation = generation;
    this.target = -1;
    this.lun = 0;
    this.tagLow = this.tagHigh = 0;
    this.parsed = this.queued = this.flushing = this.both = false;
    this.attention = undefined;
    this.bytes = this.dataBytes = 0;
    this.direction = DIRECTION.none;
    this.cancelled = RESPONSE.ok;
    this.waiter = undefined;
    this.remaining = 0;
    this.subtype = 0;
    this.response = RESPONSE.ok;
    this.status = STATUS.good;
    this.moved = 0;
    this.sense = undefined;
    this.written = 0;
    return this;
  }

  /** Copies the first `bytes` readable bytes into `header`; how the driver cut its buffers does not matter (section 2.7.4). */
  copyHeader(memory: GuestMemory, bytes: number): void {
    const { offsets, lengths, outCount } = this.element;
    const { header } = this;
    if (outCount > 0 && lengths[0] >= bytes && (offsets[0] & 3) === 0) {
      // As every driver has it: in one piece on a boundary of words.
      const { words } = memory;
      const from = offsets[0] >>> 2;
      const whole = bytes >>> 2;
      for (let i = 0; i < whole; i++) this.#words[i] = words[from + i];
      for (let i = whole * 4; i < bytes; i++) header[i] = memory.bytes[offsets[0] + i];
      return;
    }
    let at = 0;
    for (let i = 0; i < outCount && at < bytes; i++) {
      const take = Math.min(lengths[i], bytes - at);
      const from = offsets[i];
      for (let j = 0; j < take; j++) header[at + j] = memory.bytes[from + j];
      at += take;
    }
  }

  /** Address and tag out of the header, which must have been copied. */
  address(lunAt: number, tagAt: number): void {
    this.target = targetOf(this.header, lunAt);
    this.lun = lunOf(this.header, lunAt);
    this.tagLow = this.headerView.getUint32(tagAt, true);
    this.tagHigh = this.headerView.getUint32(tagAt + 4, true);
  }

  sameTag(other: ScsiRequest): boolean {
    return this.tagLow === other.tagLow && this.tagHigh === other.tagHigh;
  }

  /** Puts the first `most` bytes of data behind a header or a response of `skip` bytes into `host.windows`. */
  windows(memory: GuestMemory, toDevice: boolean, skip: number, most: number): void {
    const { offsets, lengths, outCount, inCount } = this.element;
    const { host } = this;
    host.windowCount = 0;
    let left = most;
    let gap = skip;
    const first = toDevice ? 0 : outCount;
    const end = toDevice ? outCount : outCount + inCount;
    for (let i = first; i < end && left > 0; i++) {
      const over = Math.min(gap, lengths[i]);
      gap -= over;
      const take = Math.min(lengths[i] - over, left);
      if (take === 0) continue;
      left -= take;
      if (!toDevice) memory.dirty(offsets[i] + over, take);
      host.windows[host.windowCount++] = memory.window(offsets[i] + over, take);
    }
  }

  /** Copies `source` into the writable bytes from `at` on. */
  respond(memory: GuestMemory, source: Uint8Array, length: number): void {
    const { offsets, lengths, outCount, inCount } = this.element;
    let done = 0;
    for (let i = outCount; i < outCount + inCount && done < length; i++) {
      const take = Math.min(lengths[i], length - done);
      memory.dirty(offsets[i], take);
      for (let j = 0; j < take; j++) memory.bytes[offsets[i] + j] = source[done + j];
      done += take;
    }
  }
}

/** Writes the answers of the SCSI host into the driver's memory (virtio 1.2, section 5.6.6), and counts what was done. */
import { STATUS } from '../../scsi/command.ts';
import { fixedSense, type Sense } from '../../scsi/sense.ts';
import { DIRECTION } from '../../scsi/transfer.ts';
import { OP } from '../../trace/format.ts';
import { E } from '../../trace/registry.ts';
import type { TraceRing } from '../../trace/ring.ts';
import type { VirtioScsi } from './device.ts';
import { AN_RESP_BYTES, CMD_RESP, EVENT_BYTES, lunOf, RESPONSE } from './protocol.ts';
import { KIND, type ScsiRequest } from './request.ts';

export class ScsiResponder {
  readonly #device: VirtioScsi;
  readonly #trace: TraceRing;
  readonly #stats: VirtioScsi['stats'];

  constructor(device: VirtioScsi, trace: TraceRing, stats: VirtioScsi['stats']) {
    this.#device = device;
    this.#trace = trace;
    this.#stats = stats;
  }

  /** Bytes of a command's answer. */
  static commandBytes(senseSize: number): number {
    return CMD_RESP.sense + senseSize;
  }
  static readonly notificationBytes = AN_RESP_BYTES;

  /** Writes the answer and sets how many bytes were written (section 2.7.8.2: from the start of the writable part on). */
  respond(request: ScsiRequest): void {
    const trace = this.#trace;
    const { kind, requestId, lun, tagLow, response } = request;
    switch (kind) {
      case KIND.command:
        this.#command(request);
        trace.emit(E.virtio_scsi_cmd_resp, requestId, lun, tagLow, response, request.status);
        break;
      case KIND.tmf:
        this.#write(request, Uint8Array.of(response));
        trace.emit(E.virtio_scsi_tmf_resp, requestId, lun, tagLow, response, 0);
        break;
      case KIND.notification: {
        // No event can be subscribed to: event_actual is 0.
        const bytes = new Uint8Array(AN_RESP_BYTES);
        bytes[4] = response;
        this.#write(request, bytes);
        trace.emit(E.virtio_scsi_an_resp, requestId, lun, response, 0, 0);
        break;
      }
      default:
        // A type that nobody knows: QEMU gives the chain back as it is.
        request.written = 0;
    }
  }

  #write(request: ScsiRequest, bytes: Uint8Array): void {
    request.respond(this.#device.memory, bytes, bytes.length);
    request.written = bytes.length;
  }

  event(request: ScsiRequest, event: number, bytes: Uint8Array): void {
    this.#write(request, bytes);
    const reason = new DataView(bytes.buffer).getUint32(EVENT_BYTES - 4, true);
    this.#trace.emit(E.virtio_scsi_event, request.requestId, lunOf(bytes, 4), event, reason, 0);
  }

  /** Sense data that is not there is written as zeroes, so that everything up to the data is the device's. */
  #command(request: ScsiRequest): void {
    const { status, response, sense, bytes, dataBytes, moved } = request;
    const length = ScsiResponder.commandBytes(this.#device.senseSize);
    const answered = response === RESPONSE.ok && status === STATUS.good;
    const resid = answered && bytes > 0 ? dataBytes - moved : 0;
    const shown = response === RESPONSE.ok ? status : 0;
    if (sense !== undefined && response === RESPONSE.ok) this.#withSense(request, sense, length);
    else if (!this.#quick(request, length, resid, shown))
      this.#write(request, this.#plain(request, length, resid, shown));
    request.written = length;
    if (answered && request.direction === DIRECTION.fromDevice) request.written += moved;
    this.#count(request, answered);
  }

  /** As every driver has it, the answer is one buffer on a boundary of words: written in place. */
  #quick(request: ScsiRequest, length: number, resid: number, status: number): boolean {
    const { offsets, lengths, outCount } = request.element;
    const at = offsets[outCount];
    if (lengths[outCount] < length || ((at | length) & 3) !== 0) return false;
    const { memory } = this.#device;
    memory.dirty(at, length);
    const { words } = memory;
    const word = at >>> 2;
    words[word] = 0;
    words[word + 1] = resid;
    words[word + 2] = (status << 16) | (request.response << 24);
    for (let i = word + 3; i < word + length / 4; i++) words[i] = 0;
    return true;
  }

  #plain({ response }: ScsiRequest, length: number, resid: number, status: number): Uint8Array {
    const bytes = new Uint8Array(length);
    new DataView(bytes.buffer).setUint32(CMD_RESP.resid, resid, true);
    bytes[CMD_RESP.status] = status;
    bytes[CMD_RESP.response] = response;
    return bytes;
  }

  #withSense(request: ScsiRequest, sense: Sense, length: number): void {
    const bytes = this.#plain(request, length, 0, request.status);
    const fixed = fixedSense(sense).subarray(0, this.#device.senseSize);
    new DataView(bytes.buffer).setUint32(CMD_RESP.senseLen, fixed.length, true);
    bytes.set(fixed, CMD_RESP.sense);
    this.#write(request, bytes);
  }

  #count({ transfer, moved, bytes, parsed, direction, cdb }: ScsiRequest, answered: boolean): void {
    const stats = this.#stats;
    if (!answered) stats.errors++;
    const flush = parsed && transfer.op === OP.flush && bytes === 0 && FLUSHES.has(cdb.opcode);
    if (flush) stats.flushes++;
    else if (!parsed || !BLOCK_COMMANDS.has(cdb.opcode)) stats.others++;
    else if (direction === DIRECTION.toDevice) {
      stats.writes++;
      if (answered) stats.bytesWritten += moved;
    } else {
      stats.reads++;
      if (answered) stats.bytesRead += moved;
    }
  }
}

/** READ and WRITE of every length. */
const BLOCK_COMMANDS: ReadonlySet<number> = new Set([
  0x08, 0x0a, 0x28, 0x2a, 0x2e, 0x88, 0x8a, 0x8e, 0xa8, 0xaa, 0xae,
]);
/** SYNCHRONIZE CACHE. */
const FLUSHES: ReadonlySet<number> = new Set([0x35, 0x91]);

/** Understanding what the driver sent: headers of commands and of control requests (virtio 1.2, sections 5.6.6.1 and 5.6.6.2). */
import { PlatterError } from '../../errors.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { MOST_BYTES } from '../../scsi/bus.ts';
import { DIRECTION, transferBytes, transferDirection } from '../../scsi/transfer.ts';
import { E } from '../../trace/registry.ts';
import type { TraceRing } from '../../trace/ring.ts';
import type { VirtQueueState } from '../device.ts';
import type { VirtioScsi } from './device.ts';
import { AN_REQ, CMD_REQ, CTRL_TYPE, RESPONSE, TMF_REQ } from './protocol.ts';
import { KIND, PLACE, type ScsiRequest } from './request.ts';
import { ScsiResponder } from './responder.ts';
import { manageTasks } from './task-management.ts';
import type { ScsiUnits } from './units.ts';

export class ScsiIntake {
  readonly #device: VirtioScsi;
  readonly #memory: GuestMemory;
  readonly #trace: TraceRing;
  readonly #units: ScsiUnits;
  readonly #fail: (queue: VirtQueueState, error: unknown) => void;

  /** `fail`: the driver broke a rule. */
  constructor(device: VirtioScsi, units: ScsiUnits, fail: (queue: VirtQueueState, error: unknown) => void) {
    this.#device = device;
    this.#memory = device.memory;
    this.#trace = device.trace;
    this.#units = units;
    this.#fail = fail;
  }

  /** Too short for its header or its answer: nothing can be answered (section 5.6.6). */
  refuse(request: ScsiRequest, out: number, into: number): true {
    const { element, queue } = request;
    const { outBytes, inBytes } = element;
    this.#units.requests.release(request);
    this.#fail(
      queue,
      new PlatterError(
        'virtio.scsi-header',
        `virtio 1.2, section 5.6.6: a request must have ${out} device-readable and ${into} device-writable bytes at least; ` +
          `found ${outBytes} and ${inBytes}`,
        { field: '5.6.6', expected: `${out}, ${into}`, value: `${outBytes}, ${inBytes}` },
      ),
    );
    return true;
  }

  /** Copies the header of a command and finds its unit. True when its CDB is to be looked at; false when it has its answer already. */
  command(request: ScsiRequest): boolean {
    const { element, requestId, header } = request;
    const { cdbSize, senseSize } = this.#device;
    const out = CMD_REQ.cdb + cdbSize;
    const into = ScsiResponder.commandBytes(senseSize);
    if (element.outBytes < out || element.inBytes < into) return !this.refuse(request, out, into);
    header[CMD_REQ.cdb] = 0;
    request.copyHeader(this.#memory, out);
    request.address(CMD_REQ.lun, CMD_REQ.tag);
    const toDevice = element.outBytes - out;
    const fromDevice = element.inBytes - into;
    // Section 5.6.6.1.1: data both ways needs INOUT, which is not offered.
    if (toDevice > 0 && fromDevice > 0) return !this.#units.answer(request, RESPONSE.failure);
    request.dataBytes = toDevice + fromDevice;
    if (request.dataBytes > 0) {
      request.direction = toDevice > 0 ? DIRECTION.toDevice : DIRECTION.fromDevice;
    }
    this.#trace.emit(
      E.virtio_scsi_cmd_req,
      requestId,
      request.lun,
      request.tagLow,
      header[CMD_REQ.cdb],
      request.tagHigh,
    );
    const unit = this.#units.unitOf(request);
    if (unit === undefined) return !this.#units.answer(request, RESPONSE.badTarget);
    request.parsed = request.cdb.load(header, CMD_REQ.cdb, cdbSize);
    request.bytes = request.parsed ? transferBytes(request.cdb, unit.blockSize, unit.type) : 0;
    return true;
  }

  /** Section 5.6.6.1.1: OVERRUN when the buffers hold less than the CDB moves, or are there for the other way. */
  queue(request: ScsiRequest): true {
    const { cdb, parsed, bytes, direction, dataBytes } = request;
    if (parsed && bytes <= MOST_BYTES) {
      const { name } = this.#device;
      request.attention = this.#device.bus.takeAttention(request.target, request.lun, cdb.opcode, name);
    }
    if (parsed && bytes > 0 && (transferDirection(cdb, bytes) !== direction || bytes > dataBytes)) {
      return this.#units.answer(request, RESPONSE.overrun);
    }
    this.#units.requests.prepared.push(request);
    return true;
  }

  control(request: ScsiRequest): true {
    const { outBytes, inBytes } = request.element;
    if (outBytes < 4) return this.refuse(request, 4, 0);
    request.copyHeader(this.#memory, Math.min(outBytes, TMF_REQ.bytes));
    const type = request.headerView.getUint32(0, true);
    if (type === CTRL_TYPE.tmf) {
      if (outBytes < TMF_REQ.bytes || inBytes < 1) return this.refuse(request, TMF_REQ.bytes, 1);
      return this.#manage(request);
    }
    if (type === CTRL_TYPE.anQuery || type === CTRL_TYPE.anSubscribe) {
      const into = ScsiResponder.notificationBytes;
      if (outBytes < AN_REQ.bytes || inBytes < into) return this.refuse(request, AN_REQ.bytes, into);
      request.kind = KIND.notification;
      request.address(AN_REQ.lun, AN_REQ.lun);
      const wanted = request.headerView.getUint32(AN_REQ.eventRequested, true);
      this.#trace.emit(E.virtio_scsi_an_req, request.requestId, request.lun, wanted, 0, 0);
    } else request.kind = KIND.unknown;
    return this.#units.answer(request, RESPONSE.ok);
  }

  #manage(request: ScsiRequest): true {
    request.kind = KIND.tmf;
    request.address(TMF_REQ.lun, TMF_REQ.tag);
    request.subtype = request.headerView.getUint32(TMF_REQ.subtype, true);
    const { requestId, lun, tagLow, subtype } = request;
    this.#trace.emit(E.virtio_scsi_tmf_req, requestId, lun, tagLow, subtype, 0);
    manageTasks(this.#units, request);
    if (request.remaining > 0) request.place = PLACE.waiting;
    else this.#units.requests.done.push(request);
    return true;
  }
}

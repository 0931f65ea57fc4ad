/** What becomes of commands once they are understood: their logical units, the host's transfers, and those who want to cancel them. */
import type { HostIo } from '../../machine/host-io.ts';
import type { IoErrors } from '../../machine/io-errors.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { isPromise } from '../../maybe.ts';
import { PREPARED, refuse, STATUS, type LogicalUnit, type ScsiAnswer } from '../../scsi/command.ts';
import { SENSE } from '../../scsi/sense.ts';
import { DIRECTION } from '../../scsi/transfer.ts';
import { OP } from '../../trace/format.ts';
import { E } from '../../trace/registry.ts';
import type { TraceRing } from '../../trace/ring.ts';
import type { VirtioScsi } from './device.ts';
import { CMD_REQ, RESPONSE } from './protocol.ts';
import { PLACE, type ScsiRequest } from './request.ts';
import { ScsiRequests } from './requests.ts';
import { ScsiResponder } from './responder.ts';
import type { TaskSet } from './task-management.ts';

export interface ScsiUnitsOptions {
  device: VirtioScsi;
  host: HostIo;
  errors: IoErrors;
  /** A unit answered later than it was asked. */
  onReady?: () => void;
}

export class ScsiUnits implements TaskSet {
  /** Transfers are stepped through; otherwise they are done at once where they can be. */
  single = true;
  /** Why the last transfer failed at the block node. */
  lastFailure: unknown;
  readonly bus: VirtioScsi['bus'];
  readonly requests: ScsiRequests;
  readonly #options: ScsiUnitsOptions;
  readonly #device: VirtioScsi;
  readonly #memory: GuestMemory;
  readonly #trace: TraceRing;
  readonly #host: HostIo;

  constructor(options: ScsiUnitsOptions) {
    this.#options = options;
    this.#device = options.device;
    this.bus = options.device.bus;
    this.#memory = options.device.memory;
    this.#trace = options.device.trace;
    this.#host = options.host;
    this.requests = new ScsiRequests(this.#hostFinished);
  }

  /** The unit that the request is for, or the one that answers for it. */
  unitOf({ target, lun }: ScsiRequest): LogicalUnit | undefined {
    return target < 0 ? undefined : this.bus.nearest(target, lun);
  }

  /** Answered without a unit. */
  answer(request: ScsiRequest, response: number): true {
    request.response = response;
    this.requests.done.push(request);
    return true;
  }

  // ---- task management ----

  running(): Iterable<ScsiRequest> {
    return this.requests.running();
  }

  cancel(command: ScsiRequest, response: number, waiter: ScsiRequest): void {
    const { target, lun, tagLow, requestId } = command;
    this.#trace.emit(E.scsi_req_cancel, requestId, target, lun, tagLow, 0);
    command.cancelled = response;
    command.host.cancelled = true;
    // One that was cancelled before has somebody waiting already, who then does not have to.
    this.#release(command.waiter);
    command.waiter = waiter;
  }

  /** One command less that a task management request waits for. */
  #release(waiter: ScsiRequest | undefined): void {
    if (waiter === undefined || --waiter.remaining > 0) return;
    waiter.place = PLACE.device;
    this.requests.done.push(waiter);
  }

  // ---- the unit and the host ----

  submit(request: ScsiRequest): boolean {
    const { target, lun, cdb, parsed, bytes, attention, transfer } = request;
    request.queued = true;
    const { name } = this.#device;
    const prepared = this.bus.prepare(target, lun, cdb, parsed, bytes, attention, name, transfer);
    if (prepared === PREPARED.transfer) return this.#toHost(request);
    if (prepared === PREPARED.run) return this.#run(request);
    if (typeof prepared !== 'number') this.#settle(request, prepared);
    return true;
  }

  /** A command that the unit carries out itself. */
  #run(request: ScsiRequest): boolean {
    const { target, lun, cdb, direction, dataBytes, transfer, host } = request;
    const toDevice = direction === DIRECTION.toDevice;
    request.byUnit = true;
    request.windows(this.#memory, toDevice, this.#headerBytes(request), dataBytes);
    const windows = host.windows.slice(0, host.windowCount);
    const answer = this.bus.run(
      target,
      lun,
      {
        cdb,
        initiator: this.#device.name,
        dataOut: toDevice ? windows : [],
        dataIn: toDevice ? [] : windows,
      },
      transfer,
    );
    if (!isPromise(answer)) return this.#ran(request, answer);
    request.place = PLACE.host;
    this.requests.atHost++;
    host.cancelled = false;
    void answer.then((late) => {
      this.requests.atHost--;
      request.place = PLACE.device;
      if (request.generation !== this.#device.generation) this.requests.release(request);
      else if (request.cancelled !== RESPONSE.ok) this.#settleCancelled(request);
      else this.#ran(request, late);
      this.#options.onReady?.();
    });
    return true;
  }

  #ran(request: ScsiRequest, answer: ScsiAnswer | number): boolean {
    if (typeof answer === 'number') return this.#toHost(request);
    if (answer.failure === undefined) this.#settle(request, answer);
    else this.#failed(request, answer.failure);
    return true;
  }

  /** The machine runs on: what failed is tried once more (`scsi_dma_restart_bh`). */
  again(request: ScsiRequest): boolean {
    return request.byUnit ? this.#run(request) : this.#toHost(request);
  }

  #headerBytes(request: ScsiRequest): number {
    const { cdbSize, senseSize } = this.#device;
    return request.direction === DIRECTION.toDevice
      ? CMD_REQ.cdb + cdbSize
      : ScsiResponder.commandBytes(senseSize);
  }

  #toHost(request: ScsiRequest): boolean {
    const { transfer, host } = request;
    request.byUnit = false;
    if (transfer.op <= OP.write) {
      const toDevice = transfer.op === OP.write;
      request.windows(this.#memory, toDevice, this.#headerBytes(request), transfer.bytes);
    } else host.windowCount = 0;
    request.flushing = transfer.before;
    return this.#begin(request, transfer.before ? OP.flush : transfer.op);
  }

  #begin(request: ScsiRequest, op: number): boolean {
    const { transfer, host } = request;
    const unit = this.unitOf(request);
    // Unplugged, or its medium taken out, while its flush was under way.
    if (unit === undefined) return this.answer(request, RESPONSE.badTarget);
    const { node } = unit;
    if (node === undefined) {
      this.#settle(request, refuse(SENSE.noMedium));
      return true;
    }
    host.requestId = request.requestId;
    host.op = op;
    host.offset = op === OP.flush ? 0 : transfer.offset;
    host.bytes = op === OP.flush ? 0 : transfer.bytes;
    host.node = node;
    host.through = transfer.through;
    host.unmap = transfer.unmap;
    if (!this.single && this.#host.performNow(host)) return this.#moved(request);
    request.place = PLACE.host;
    this.requests.atHost++;
    if (this.single) this.#host.submit(host);
    return true;
  }

  /** The host is done with it. What was begun before a reset is dropped: its memory belongs to somebody else now. */
  readonly #hostFinished = (request: ScsiRequest): void => {
    this.requests.atHost--;
    request.place = PLACE.device;
    if (request.generation !== this.#device.generation) this.requests.release(request);
    else if (request.cancelled !== RESPONSE.ok) this.#settleCancelled(request);
    else this.#moved(request);
  };

  #moved(request: ScsiRequest): boolean {
    const { host, transfer, flushing } = request;
    if (host.error !== undefined && !this.#failed(request, host.error)) return true;
    if (flushing) {
      request.flushing = false;
      return this.#begin(request, transfer.op);
    }
    this.#wentWell(request, transfer.moved);
    return true;
  }

  #wentWell(request: ScsiRequest, moved: number): void {
    request.status = STATUS.good;
    request.moved = moved;
    this.bus.succeeded(request.target, request.lun);
    this.requests.done.push(request);
  }

  /** `rerror=` and `werror=` (QEMU's `scsi_handle_rw_error`); true when the error is to be ignored and a transfer goes on. */
  #failed(request: ScsiRequest, error: unknown): boolean {
    const { errors } = this.#options;
    this.lastFailure = error;
    const unit = this.unitOf(request);
    if (unit === undefined) {
      this.answer(request, RESPONSE.badTarget);
      return false;
    }
    // What moves no data, a flush for one, counts as a write.
    const isRead = request.direction === DIRECTION.fromDevice;
    const action = errors.decide(unit.onErrors, isRead, error, request.requestId);
    if (action === 'report') this.#settle(request, unit.failed(error, request.cdb.opcode));
    if (action === 'ignore' && request.byUnit) this.#wentWell(request, request.bytes);
    if (action === 'stop') {
      this.requests.retry.push(request);
      errors.stop();
    }
    return action === 'ignore' && !request.byUnit;
  }

  /** The unit has its answer. */
  #settle(request: ScsiRequest, answer: ScsiAnswer): void {
    request.status = answer.status;
    request.sense = answer.sense;
    request.moved = answer.moved;
    this.bus.done(request.target, request.lun, answer);
    this.requests.done.push(request);
  }

  #settleCancelled(request: ScsiRequest): void {
    request.response = request.cancelled;
    request.queued = false;
    this.requests.done.push(request);
    this.#release(request.waiter);
    request.waiter = undefined;
  }
}

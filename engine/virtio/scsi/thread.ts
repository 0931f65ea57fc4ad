/**
 * The device's thread: QEMU's main loop or an IOThread, serving the queues. It works in steps, one event each:
 *
 *     notify → pop → cmd_req → parsed → parsed_lba → … the rest of the ring …
 *     → (the unit; the host's stations, HostIo) → build_sense → dequeue → cmd_resp → fill → flush → should-notify → interrupt
 *
 * or, when nobody looks in between (`process`), one request as far as it goes: the same pieces in the same order.
 */
import { PlatterError } from '../../errors.ts';
import type { HostIo } from '../../machine/host-io.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { isPromise } from '../../maybe.ts';
import { MOST_BYTES } from '../../scsi/bus.ts';
import { PREPARED, STATUS, type LogicalUnit, type ScsiAnswer } from '../../scsi/command.ts';
import { SENSE } from '../../scsi/sense.ts';
import { DIRECTION, transferBytes, transferDirection } from '../../scsi/transfer.ts';
import { OP } from '../../trace/format.ts';
import { E } from '../../trace/registry.ts';
import { highWord, type TraceRing } from '../../trace/ring.ts';
import type { VirtQueueState } from '../device.ts';
import type { DeviceQueue } from '../queue/queue.ts';
import type { VirtioScsi } from './device.ts';
import { ScsiEvents } from './events.ts';
import { AN_REQ, CMD_REQ, CTRL_TYPE, EVENT_BYTES, QUEUE, RESPONSE, TMF_REQ } from './protocol.ts';
import { KIND, PLACE, type ScsiRequest } from './request.ts';
import { ScsiRequests } from './requests.ts';
import { ScsiResponder } from './responder.ts';
import { manageTasks, type TaskSet } from './task-management.ts';

/** Where the thread stands. */
const IDLE = 0;
const POP = 1;
const HANDLE = 2;
const PARSED = 3;
const PARSED_LBA = 4;
const BUILD_SENSE = 5;
const DEQUEUE = 6;
const RESPOND = 7;
const FILL = 8;
const FLUSH = 9;
const SHOULD_NOTIFY = 10;
const INTERRUPT = 11;
const EVENT = 12;
/** Steps of one call of `process`: several rings of the largest size. */
const STEPS = 1 << 18;

export interface ScsiThreadOptions {
  device: VirtioScsi;
  host: HostIo;
  irqfd: boolean;
  onReady?: () => void;
  /** Which trace id a chain belongs to. */
  requestIdOf: (queue: VirtQueueState, head: number) => number;
  /** The driver broke a rule. */
  fail: (queue: VirtQueueState, error: unknown) => void;
}

export class ScsiThread implements TaskSet {
  readonly stats = { reads: 0, writes: 0, flushes: 0, others: 0, errors: 0, bytesRead: 0, bytesWritten: 0 };
  /** Why the last transfer failed at the block node. */
  lastFailure: unknown;
  readonly bus: VirtioScsi['bus'];
  readonly #options: ScsiThreadOptions;
  readonly #device: VirtioScsi;
  readonly #memory: GuestMemory;
  readonly #trace: TraceRing;
  readonly #host: HostIo;
  readonly #requests: ScsiRequests;
  readonly #responder: ScsiResponder;
  readonly #events = new ScsiEvents();
  readonly #waiting: VirtQueueState[] = [];
  /** `step` does one thing; otherwise a request goes on as far as it can. */
  #single = true;
  #phase = IDLE;
  #queue!: VirtQueueState;
  #request!: ScsiRequest;
  #interruptFor = 0;
  /** Where to go on after a completion: the queue that was being emptied. */
  #resume: VirtQueueState | undefined;
  /** Chains that the queue's turn may still take: the work of one doorbell is bounded by the queue's size. */
  #turn = 0;
  /** Queues whose last turn ended before they were empty: they are served further without another doorbell. */
  readonly #goOn = new Set<VirtQueueState>();

  constructor(options: ScsiThreadOptions) {
    this.#options = options;
    this.#device = options.device;
    this.bus = options.device.bus;
    this.#memory = options.device.memory;
    this.#trace = options.device.trace;
    this.#host = options.host;
    this.#requests = new ScsiRequests(this.#hostFinished);
    this.#responder = new ScsiResponder(options.device, this.#trace, this.stats);
  }

  // ---- from outside ----

  /** A doorbell was rung. */
  notified(queue: VirtQueueState): void {
    if (!this.#waiting.includes(queue)) this.#waiting.push(queue);
  }

  /** Something to tell the driver through the event queue. */
  event(event: number, address: Uint8Array, reason: number): void {
    this.#events.push(event, address, reason);
  }

  get draining(): boolean {
    return this.#requests.atHost > 0;
  }

  get busy(): boolean {
    const { prepared, done } = this.#requests;
    const work = prepared.any || done.any || this.#events.any || this.#waiting.length > 0;
    return this.#phase !== IDLE || work || this.#host.busy;
  }

  /** Drops everything that is in flight, of one queue or of all. */
  drop(queue?: VirtQueueState): void {
    const mine = queue === undefined || this.#queue === queue;
    if (mine && this.#phase >= HANDLE && this.#phase <= SHOULD_NOTIFY) this.#requests.release(this.#request);
    if (mine) this.#phase = IDLE;
    this.#requests.drop(queue);
    if (queue === undefined || this.#resume === queue) this.#resume = undefined;
    if (queue === undefined) this.#events.reset();
    this.#goOn.clear();
    for (const waiting of this.#waiting.splice(0)) {
      if (queue !== undefined && waiting !== queue) this.#waiting.push(waiting);
    }
  }

  /** Until nothing is left to do, the disk included, or for so many steps; true when something is left. */
  process(): boolean {
    this.#single = false;
    try {
      for (let left = STEPS; left > 0; left--) {
        if (!this.step() && !this.#host.stepHardware()) return false;
      }
      return true;
    } finally {
      this.#single = true;
    }
  }

  step(): boolean {
    switch (this.#phase) {
      case POP:
        return this.#pop();
      case HANDLE:
        return this.#handle();
      case PARSED:
        return this.#parsed();
      case PARSED_LBA:
        return this.#parsedLba();
      case BUILD_SENSE:
        return this.#buildSense();
      case DEQUEUE:
        return this.#dequeue();
      case RESPOND:
        return this.#respond();
      case FILL:
        return this.#fill();
      case FLUSH:
        return this.#flush();
      case SHOULD_NOTIFY:
        return this.#shouldNotify();
      case INTERRUPT:
        return this.#interrupt();
      case EVENT:
        return this.#tellEvent();
      default:
        return this.#idle();
    }
  }

  /**
   * What next, in the order of QEMU's thread: what a handler does before it returns (answers, submissions, the rest of the ring, the
   * commands that it prepared on the way), and only then the event loop's turn: completions, events, other doorbells.
   */
  #idle(): boolean {
    const done = this.#requests.done.shift();
    if (done !== undefined) return this.#complete(done);
    if (this.#host.stepSubmitted()) return true;
    if (this.#device.isBroken) return this.#broken();
    const resume = this.#resume;
    if (resume !== undefined) {
      this.#resume = undefined;
      this.#queue = resume;
      return this.#pop();
    }
    const prepared = this.#requests.prepared.shift();
    if (prepared !== undefined) return this.#submit(prepared);
    if (this.#host.stepReported()) return true;
    if (this.#events.any) return this.#popEvent();
    return this.#nextDoorbell();
  }

  /** The driver broke a rule: nothing is begun any more. */
  #broken(): boolean {
    this.#waiting.length = 0;
    this.#resume = undefined;
    this.#events.reset();
    for (let request = this.#requests.prepared.shift(); request !== undefined;) {
      this.#requests.release(request);
      request = this.#requests.prepared.shift();
    }
    return this.#host.stepReported();
  }

  #nextDoorbell(): boolean {
    const queue = this.#waiting.shift();
    if (queue === undefined) return false;
    this.#queue = queue;
    this.#turn = queue.size;
    if (this.#goOn.delete(queue)) return this.#pop();
    this.#trace.emit(E.virtio_queue_notify, 0, queue.index, 0, 0, 0);
    if (queue.index === QUEUE.event) {
      this.#events.tellMissed();
      return true;
    }
    if (queue.index >= QUEUE.request) queue.ring?.setNotification(false);
    this.#phase = POP;
    return true;
  }

  // ---- taking requests ----

  #pop(): boolean {
    const queue = this.#queue;
    const { ring } = queue;
    this.#phase = IDLE;
    if (ring === undefined || this.#device.isBroken) return this.#idle();
    if (this.#turn-- <= 0) {
      // Everybody else has a turn before the rest is taken.
      this.#goOn.add(queue);
      this.notified(queue);
      return this.#idle();
    }
    let element;
    try {
      element = ring.pop();
    } catch (error) {
      this.#options.fail(queue, error);
      return true;
    }
    if (element === null) return this.#sleep(queue, ring);
    const requestId = this.#options.requestIdOf(queue, element.head);
    element.requestId = requestId;
    this.#request = this.#requests.take().begin(queue, element, requestId, this.#device.generation);
    const { head, inCount, outCount } = element;
    this.#trace.emit(E.virtqueue_pop, requestId, queue.index, head, inCount, outCount);
    this.#phase = HANDLE;
    return this.#single || this.#handle();
  }

  /** Nothing is left on the ring: asks for doorbells again and looks once more, since one may have been missed in between. */
  #sleep(queue: VirtQueueState, ring: DeviceQueue): boolean {
    if (queue.index < QUEUE.request || !ring.setNotification(true)) return this.#idle();
    ring.setNotification(false);
    this.#phase = POP;
    return true;
  }

  #handle(): boolean {
    this.#phase = IDLE;
    this.#resume = this.#queue;
    return this.#queue.index === QUEUE.control ? this.#handleControl() : this.#handleCommand();
  }

  /** Too short for its header or its answer: nothing can be answered (section 5.6.6). */
  #refuse(request: ScsiRequest, out: number, into: number): true {
    const { element, queue } = request;
    const { outBytes, inBytes } = element;
    this.#requests.release(request);
    this.#options.fail(
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

  #handleCommand(): boolean {
    const request = this.#request;
    const { element, requestId, header } = request;
    const { cdbSize, senseSize } = this.#device;
    const out = CMD_REQ.cdb + cdbSize;
    const into = ScsiResponder.commandBytes(senseSize);
    if (element.outBytes < out || element.inBytes < into) return this.#refuse(request, out, into);
    header[CMD_REQ.cdb] = 0;
    request.copyHeader(this.#memory, out);
    request.address(CMD_REQ.lun, CMD_REQ.tag);
    const toDevice = element.outBytes - out;
    const fromDevice = element.inBytes - into;
    // Section 5.6.6.1.1: data both ways needs INOUT, which is not offered.
    if (toDevice > 0 && fromDevice > 0) return this.#answer(request, RESPONSE.failure);
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
    const unit = this.#unitOf(request);
    if (unit === undefined) return this.#answer(request, RESPONSE.badTarget);
    request.parsed = request.cdb.load(header, CMD_REQ.cdb, cdbSize);
    request.bytes = request.parsed ? transferBytes(request.cdb, unit.blockSize, unit.type) : 0;
    this.#phase = PARSED;
    return this.#single || this.#parsed();
  }

  #unitOf({ target, lun }: ScsiRequest): LogicalUnit | undefined {
    return target < 0 ? undefined : this.bus.nearest(target, lun);
  }

  #parsed(): boolean {
    const request = this.#request;
    const { requestId, target, lun, cdb, parsed, bytes } = request;
    if (parsed) {
      this.#trace.emit(E.scsi_req_parsed, requestId, target, lun, cdb.opcode, Math.min(bytes, 0xffff_ffff));
      this.#phase = PARSED_LBA;
      return this.#single || this.#parsedLba();
    }
    this.#trace.emit(E.scsi_req_parse_bad, requestId, target, lun, cdb.opcode, 0);
    return this.#queueCommand(request);
  }

  #parsedLba(): boolean {
    const request = this.#request;
    const { requestId, target, lun, cdb } = request;
    const { lba } = cdb;
    this.#trace.emit(E.scsi_req_parsed_lba, requestId, target, lun, lba >>> 0, highWord(lba));
    return this.#queueCommand(request);
  }

  /** Section 5.6.6.1.1: OVERRUN when the buffers hold less than the CDB moves, or are there for the other way. */
  #queueCommand(request: ScsiRequest): boolean {
    const { cdb, parsed, bytes, direction, dataBytes } = request;
    this.#phase = IDLE;
    if (parsed && bytes <= MOST_BYTES) {
      const { name } = this.#device;
      request.attention = this.bus.takeAttention(request.target, request.lun, cdb.opcode, name);
    }
    if (parsed && bytes > 0 && (transferDirection(cdb, bytes) !== direction || bytes > dataBytes)) {
      return this.#answer(request, RESPONSE.overrun);
    }
    this.#requests.prepared.push(request);
    return true;
  }

  /** Answered without a unit. */
  #answer(request: ScsiRequest, response: number): true {
    request.response = response;
    this.#requests.done.push(request);
    return true;
  }

  #handleControl(): boolean {
    const request = this.#request;
    const { outBytes, inBytes } = request.element;
    if (outBytes < 4) return this.#refuse(request, 4, 0);
    request.copyHeader(this.#memory, Math.min(outBytes, TMF_REQ.bytes));
    const type = request.headerView.getUint32(0, true);
    if (type === CTRL_TYPE.tmf) {
      if (outBytes < TMF_REQ.bytes || inBytes < 1) return this.#refuse(request, TMF_REQ.bytes, 1);
      return this.#manage(request);
    }
    if (type === CTRL_TYPE.anQuery || type === CTRL_TYPE.anSubscribe) {
      const into = ScsiResponder.notificationBytes;
      if (outBytes < AN_REQ.bytes || inBytes < into) return this.#refuse(request, AN_REQ.bytes, into);
      request.kind = KIND.notification;
      request.address(AN_REQ.lun, AN_REQ.lun);
      const wanted = request.headerView.getUint32(AN_REQ.eventRequested, true);
      this.#trace.emit(E.virtio_scsi_an_req, request.requestId, request.lun, wanted, 0, 0);
    } else request.kind = KIND.unknown;
    return this.#answer(request, RESPONSE.ok);
  }

  #manage(request: ScsiRequest): true {
    request.kind = KIND.tmf;
    request.address(TMF_REQ.lun, TMF_REQ.tag);
    request.subtype = request.headerView.getUint32(TMF_REQ.subtype, true);
    const { requestId, lun, tagLow, subtype } = request;
    this.#trace.emit(E.virtio_scsi_tmf_req, requestId, lun, tagLow, subtype, 0);
    manageTasks(this, request);
    if (request.remaining > 0) request.place = PLACE.waiting;
    else this.#requests.done.push(request);
    return true;
  }

  // ---- task management ----

  running(): Iterable<ScsiRequest> {
    return this.#requests.running();
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

  /** A unit attention for everybody, and volatile state gone. */
  reset(target: number, lun: number, unit: LogicalUnit): void {
    unit.reset();
    const { asc, ascq } = SENSE.reset;
    this.#trace.emit(E.scsi_device_set_ua, 0, target, lun, asc * 256 + ascq, 0);
  }

  /** One command less that a task management request waits for. */
  #release(waiter: ScsiRequest | undefined): void {
    if (waiter === undefined || --waiter.remaining > 0) return;
    waiter.place = PLACE.device;
    this.#requests.done.push(waiter);
  }

  // ---- the unit and the host ----

  #submit(request: ScsiRequest): boolean {
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
    this.#requests.atHost++;
    host.cancelled = false;
    void answer.then((late) => {
      this.#requests.atHost--;
      request.place = PLACE.device;
      if (request.generation !== this.#device.generation) this.#requests.release(request);
      else if (request.cancelled !== RESPONSE.ok) this.#settleCancelled(request);
      else this.#ran(request, late);
      this.#options.onReady?.();
    });
    return true;
  }

  #ran(request: ScsiRequest, answer: ScsiAnswer | number): boolean {
    if (typeof answer === 'number') return this.#toHost(request);
    this.#settle(request, answer);
    return true;
  }

  #headerBytes(request: ScsiRequest): number {
    const { cdbSize, senseSize } = this.#device;
    return request.direction === DIRECTION.toDevice
      ? CMD_REQ.cdb + cdbSize
      : ScsiResponder.commandBytes(senseSize);
  }

  #toHost(request: ScsiRequest): boolean {
    const { transfer, host } = request;
    if (transfer.op <= OP.write) {
      const toDevice = transfer.op === OP.write;
      request.windows(this.#memory, toDevice, this.#headerBytes(request), transfer.bytes);
    } else host.windowCount = 0;
    request.flushing = transfer.before;
    return this.#begin(request, transfer.before ? OP.flush : transfer.op);
  }

  #begin(request: ScsiRequest, op: number): boolean {
    const { transfer, host } = request;
    const unit = this.#unitOf(request);
    // Unplugged while its flush was under way.
    if (unit === undefined) return this.#answer(request, RESPONSE.badTarget);
    host.requestId = request.requestId;
    host.op = op;
    host.offset = op === OP.flush ? 0 : transfer.offset;
    host.bytes = op === OP.flush ? 0 : transfer.bytes;
    host.node = unit.node;
    host.through = transfer.through;
    host.unmap = transfer.unmap;
    if (!this.#single && this.#host.performNow(host)) return this.#moved(request);
    request.place = PLACE.host;
    this.#requests.atHost++;
    if (this.#single) this.#host.submit(host);
    return true;
  }

  /** The host is done with it. What was begun before a reset is dropped: its memory belongs to somebody else now. */
  readonly #hostFinished = (request: ScsiRequest): void => {
    this.#requests.atHost--;
    request.place = PLACE.device;
    if (request.generation !== this.#device.generation) this.#requests.release(request);
    else if (request.cancelled !== RESPONSE.ok) this.#settleCancelled(request);
    else this.#moved(request);
  };

  #moved(request: ScsiRequest): boolean {
    const { host, transfer, flushing } = request;
    if (host.error === undefined && flushing) {
      request.flushing = false;
      return this.#begin(request, transfer.op);
    }
    if (host.error !== undefined) {
      this.lastFailure = host.error;
      const unit = this.#unitOf(request);
      if (unit !== undefined) this.#settle(request, unit.failed(host.error, request.cdb.opcode));
      return true;
    }
    request.status = STATUS.good;
    request.moved = transfer.moved;
    this.bus.succeeded(request.target, request.lun);
    this.#requests.done.push(request);
    return true;
  }

  /** The unit has its answer. */
  #settle(request: ScsiRequest, answer: ScsiAnswer): void {
    request.status = answer.status;
    request.sense = answer.sense;
    request.moved = answer.moved;
    this.bus.done(request.target, request.lun, answer);
    this.#requests.done.push(request);
  }

  #settleCancelled(request: ScsiRequest): void {
    request.response = request.cancelled;
    request.queued = false;
    this.#requests.done.push(request);
    this.#release(request.waiter);
    request.waiter = undefined;
  }

  // ---- completion ----

  #complete(request: ScsiRequest): boolean {
    this.#request = request;
    this.#queue = request.queue;
    if (!request.queued) return this.#next(RESPOND);
    return this.#next(request.sense === undefined ? DEQUEUE : BUILD_SENSE);
  }

  #next(phase: number): boolean {
    this.#phase = phase;
    return this.step();
  }

  #buildSense(): boolean {
    const { requestId, target, lun, sense } = this.#request;
    const { key, asc, ascq } = sense ?? { key: 0, asc: 0, ascq: 0 };
    this.#trace.emit(E.scsi_req_build_sense, requestId, target, lun, key, asc * 256 + ascq);
    this.#phase = DEQUEUE;
    return this.#single || this.#dequeue();
  }

  #dequeue(): boolean {
    const { requestId, target, lun, tagLow } = this.#request;
    this.#trace.emit(E.scsi_req_dequeue, requestId, target, lun, tagLow, 0);
    this.#phase = RESPOND;
    return this.#single || this.#respond();
  }

  #respond(): boolean {
    this.#responder.respond(this.#request);
    this.#phase = FILL;
    return this.#single || this.#fill();
  }

  #fill(): boolean {
    const { element, requestId, written } = this.#request;
    const { ring, index } = this.#queue;
    const idx = ring?.usedIdx ?? 0;
    ring?.fill(element, written);
    this.#trace.emit(E.virtqueue_fill, requestId, index, element.head, written, idx);
    this.#phase = FLUSH;
    return this.#single || this.#flush();
  }

  #flush(): boolean {
    const count = this.#queue.ring?.flush() ?? 0;
    this.#trace.emit(E.virtqueue_flush, this.#request.requestId, this.#queue.index, count, 0, 0);
    this.#phase = SHOULD_NOTIFY;
    return this.#single || this.#shouldNotify();
  }

  #shouldNotify(): boolean {
    const { requestId } = this.#request;
    const { index, ring } = this.#queue;
    const notify = ring?.shouldNotify() ?? false;
    this.#requests.release(this.#request);
    this.#phase = IDLE;
    if (!notify) {
      this.#trace.emit(E.virtio_should_notify, requestId, index, 0, 0, 0);
      return true;
    }
    this.#trace.emit(
      this.#options.irqfd ? E.virtio_notify_irqfd : E.virtio_notify,
      requestId,
      index,
      0,
      0,
      0,
    );
    this.#device.isr |= 1;
    this.#interruptFor = requestId;
    this.#phase = INTERRUPT;
    return this.#single || this.#interrupt();
  }

  #interrupt(): boolean {
    this.#phase = IDLE;
    this.#device.transport?.queueInterrupt(this.#queue, this.#interruptFor, this.#options.irqfd);
    return true;
  }

  // ---- events ----

  /** Takes a buffer for the next event; without one it is lost, and the next one says so. */
  #popEvent(): boolean {
    const queue = this.#device.queues[QUEUE.event];
    let element;
    try {
      element = queue.ring?.pop() ?? null;
    } catch (error) {
      this.#options.fail(queue, error);
      return true;
    }
    if (element === null) {
      this.#events.take(false);
      return true;
    }
    const requestId = this.#options.requestIdOf(queue, element.head);
    const request = this.#requests.take().begin(queue, element, requestId, this.#device.generation);
    request.kind = KIND.event;
    const { head, inCount, outCount } = element;
    this.#trace.emit(E.virtqueue_pop, requestId, queue.index, head, inCount, outCount);
    if (element.inBytes < EVENT_BYTES) return this.#refuse(request, 0, EVENT_BYTES);
    this.#request = request;
    this.#queue = queue;
    this.#phase = EVENT;
    return this.#single || this.#tellEvent();
  }

  #tellEvent(): boolean {
    const event = this.#events.take(true);
    this.#responder.event(this.#request, event, this.#events.bytes);
    this.#phase = FILL;
    return this.#single || this.#fill();
  }
}

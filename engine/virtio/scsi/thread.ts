/**
 * The device's thread: QEMU's main loop or an IOThread, serving the queues. It works in steps, one event each:
 *
 *     notify → pop → cmd_req → parsed → parsed_lba → … the rest of the ring …
 *     → (the unit; the host's stations, HostIo) → build_sense → dequeue → cmd_resp → fill → flush → should-notify → interrupt
 *
 * or, when nobody looks in between (`process`), one request as far as it goes: the same pieces in the same order.
 */
import type { HostIo } from '../../machine/host-io.ts';
import type { IoErrors } from '../../machine/io-errors.ts';
import { E } from '../../trace/registry.ts';
import { highWord, type TraceRing } from '../../trace/ring.ts';
import type { VirtQueueState } from '../device.ts';
import { AFTER, GiveBack } from '../give-back.ts';
import type { DeviceQueue } from '../queue/queue.ts';
import { Turns } from '../turns.ts';
import type { VirtioScsi } from './device.ts';
import { ScsiEvents } from './events.ts';
import { ScsiIntake } from './intake.ts';
import { EVENT_BYTES, QUEUE } from './protocol.ts';
import { KIND, type ScsiRequest } from './request.ts';
import type { ScsiRequests } from './requests.ts';
import { ScsiResponder } from './responder.ts';
import { ScsiUnits } from './units.ts';

/** Where the thread stands. */
const IDLE = 0;
const POP = 1;
const HANDLE = 2;
const PARSED = 3;
const PARSED_LBA = 4;
const BUILD_SENSE = 5;
const DEQUEUE = 6;
const RESPOND = 7;
const EVENT = 8;
const GIVE_BACK = 9;
const INTERRUPT = 10;
/** Steps of one call of `process`: several rings of the largest size. */
const STEPS = 1 << 18;

export interface ScsiThreadOptions {
  device: VirtioScsi;
  host: HostIo;
  irqfd: boolean;
  errors: IoErrors;
  onReady?: () => void;
  /** Which trace id a chain belongs to. */
  requestIdOf: (queue: VirtQueueState, head: number) => number;
  /** The driver broke a rule. */
  fail: (queue: VirtQueueState, error: unknown) => void;
}

export class ScsiThread {
  readonly stats = { reads: 0, writes: 0, flushes: 0, others: 0, errors: 0, bytesRead: 0, bytesWritten: 0 };
  readonly #options: ScsiThreadOptions;
  readonly #device: VirtioScsi;
  readonly #trace: TraceRing;
  readonly #host: HostIo;
  readonly #units: ScsiUnits;
  readonly #requests: ScsiRequests;
  readonly #intake: ScsiIntake;
  readonly #responder: ScsiResponder;
  readonly #events = new ScsiEvents();
  readonly #back: GiveBack;
  readonly #turns = new Turns();
  /** `step` does one thing; otherwise a request goes on as far as it can. */
  #single = true;
  #phase = IDLE;
  #queue!: VirtQueueState;
  #request!: ScsiRequest;

  constructor(options: ScsiThreadOptions) {
    this.#options = options;
    this.#device = options.device;
    this.#trace = options.device.trace;
    this.#host = options.host;
    this.#back = new GiveBack(options.device, options.irqfd);
    this.#units = new ScsiUnits(options);
    this.#requests = this.#units.requests;
    this.#intake = new ScsiIntake(options.device, this.#units, options.fail);
    this.#responder = new ScsiResponder(options.device, this.#trace, this.stats);
  }

  // ---- from outside ----

  /** A doorbell was rung. */
  notified(queue: VirtQueueState): void {
    this.#turns.add(queue);
  }

  /** Something to tell the driver through the event queue. */
  event(event: number, address: Uint8Array, reason: number): void {
    this.#events.push(event, address, reason);
  }

  get lastFailure(): unknown {
    return this.#units.lastFailure;
  }

  get draining(): boolean {
    return this.#requests.atHost > 0;
  }

  get waitingForCont(): number {
    return this.#requests.retry.length;
  }

  get busy(): boolean {
    const { prepared, done, retry } = this.#requests;
    const begins = this.#events.any || this.#turns.any || retry.length > 0;
    const work = prepared.any || done.any || (begins && this.#options.errors.running);
    return this.#phase !== IDLE || work || this.#host.busy;
  }

  /** Drops everything that is in flight, of one queue or of all. */
  drop(queue?: VirtQueueState): void {
    const mine = queue === undefined || this.#queue === queue;
    if (mine && this.#phase >= HANDLE && this.#phase <= EVENT) this.#requests.release(this.#request);
    if (mine) this.#phase = IDLE;
    this.#requests.drop(queue);
    if (queue === undefined) this.#events.reset();
    this.#turns.drop(queue);
  }

  /** Until nothing is left to do, the disk included, or for so many steps; true when something is left. */
  process(): boolean {
    this.#single = this.#units.single = false;
    try {
      for (let left = STEPS; left > 0; left--) {
        if (!this.step() && !this.#host.stepHardware()) return false;
      }
      return true;
    } finally {
      this.#single = this.#units.single = true;
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
      case EVENT:
        return this.#tellEvent();
      case GIVE_BACK:
        return this.#gaveBack(this.#back.step());
      case INTERRUPT:
        this.#phase = IDLE;
        this.#back.interrupt();
        return true;
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
    const { resume } = this.#turns;
    if (resume !== undefined) {
      this.#turns.resume = undefined;
      this.#queue = resume;
      return this.#pop();
    }
    const prepared = this.#requests.prepared.shift();
    if (prepared !== undefined) return this.#units.submit(prepared);
    if (this.#host.stepReported()) return true;
    if (!this.#options.errors.running) return false;
    const again = this.#requests.retry.shift();
    if (again !== undefined) return this.#units.again(again);
    if (this.#events.any) return this.#popEvent();
    return this.#nextDoorbell();
  }

  /** The driver broke a rule: nothing is begun any more. */
  #broken(): boolean {
    this.#turns.drop();
    this.#events.reset();
    for (let request = this.#requests.prepared.shift(); request !== undefined;) {
      this.#requests.release(request);
      request = this.#requests.prepared.shift();
    }
    return this.#host.stepReported();
  }

  #nextDoorbell(): boolean {
    const queue = this.#turns.next();
    if (queue === undefined) return false;
    this.#queue = queue;
    if (this.#turns.goesOn(queue)) return this.#pop();
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
    if (this.#turns.left-- <= 0) {
      this.#turns.end(queue);
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
    this.#turns.resume = this.#queue;
    if (this.#queue.index === QUEUE.control) return this.#intake.control(this.#request);
    if (!this.#intake.command(this.#request)) return true;
    this.#phase = PARSED;
    return this.#single || this.#parsed();
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
    this.#phase = IDLE;
    return this.#intake.queue(request);
  }

  #parsedLba(): boolean {
    const request = this.#request;
    const { requestId, target, lun, cdb } = request;
    const { lba } = cdb;
    this.#trace.emit(E.scsi_req_parsed_lba, requestId, target, lun, lba >>> 0, highWord(lba));
    this.#phase = IDLE;
    return this.#intake.queue(request);
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
    return this.#giveBack();
  }

  /** The request has its answer: its chain goes back to the driver. */
  #giveBack(): boolean {
    const { queue, element, requestId, written } = this.#request;
    this.#back.begin(queue, element, requestId, written);
    this.#requests.release(this.#request);
    this.#phase = GIVE_BACK;
    return this.#single || this.#gaveBack(this.#back.atOnce());
  }

  /** `after`: what follows what was done of giving the chain back. */
  #gaveBack(after: number): true {
    if (after !== AFTER.more) this.#phase = after === AFTER.interrupt ? INTERRUPT : IDLE;
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
    if (element.inBytes < EVENT_BYTES) return this.#intake.refuse(request, 0, EVENT_BYTES);
    this.#request = request;
    this.#queue = queue;
    this.#phase = EVENT;
    return this.#single || this.#tellEvent();
  }

  #tellEvent(): boolean {
    const event = this.#events.take(true);
    this.#responder.event(this.#request, event, this.#events.bytes);
    return this.#giveBack();
  }
}

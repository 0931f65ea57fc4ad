/**
 * The device's thread: QEMU's main loop or an IOThread, serving the queues. It works in steps, one event each:
 *
 *     notify → pop → handle → (the host's stations, HostIo) → rw_complete → req_complete → fill → flush → should-notify → interrupt
 *
 * or, when nobody looks in between (`single` is false), one request after the other without standing still: the same pieces in the
 * same order, with the same events.
 *
 * The work of one doorbell is bounded by the queue's size; what is left is done when everybody else had a turn.
 */
import { errnoOf } from '../../block/on-error.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import type { HostIo } from '../../machine/host-io.ts';
import { E } from '../../trace/registry.ts';
import type { TraceRing } from '../../trace/ring.ts';
import type { VirtioDevice, VirtQueueState } from '../device.ts';
import type { QueueElement } from '../queue/element.ts';
import { AFTER, GiveBack } from '../give-back.ts';
import type { DeviceQueue } from '../queue/queue.ts';
import { Turns } from '../turns.ts';
import type { BlkCommands } from './commands.ts';
import { usedLength, type BlkCompletion } from './completion.ts';
import { BLK_S } from './protocol.ts';
import type { BlkRequest } from './request.ts';
import { BlkRequests } from './requests.ts';
import { obeyPolicy, type BlkThreadOptions } from './thread-options.ts';
import { INTERRUPT as NOTIFY, FAILED, NOT_PLAIN, TAKEN, type BlkShortcut } from './shortcut.ts';

/** Where the thread stands. */
const IDLE = 0;
const POP = 1;
const HANDLE = 2;
const RW_COMPLETE = 3;
const REQ_COMPLETE = 4;
const GIVE_BACK = 5;
const INTERRUPT = 6;

export class BlkThread {
  /** `step` does one thing; otherwise a request goes on as far as it can. */
  single = true;
  /** Why the last request failed at the block node, for the screen. */
  lastFailure: unknown;
  /** Unless `single`: chains that may still be taken before it stops with work left over. */
  budget = 0;
  readonly requests: BlkRequests;
  readonly #options: BlkThreadOptions;
  readonly #device: VirtioDevice;
  readonly #memory: GuestMemory;
  readonly #trace: TraceRing;
  readonly #host: HostIo;
  readonly #commands: BlkCommands;
  readonly #completion: BlkCompletion;
  readonly #shortcut: BlkShortcut;
  readonly #back: GiveBack;
  readonly #turns = new Turns();
  #phase = IDLE;
  #queue!: VirtQueueState;
  #request!: BlkRequest;

  constructor(options: BlkThreadOptions) {
    this.#options = options;
    this.#device = options.device;
    this.#memory = options.device.memory;
    this.#trace = options.device.trace;
    this.#host = options.host;
    this.#commands = options.commands;
    this.#completion = options.completion;
    this.#shortcut = options.shortcut;
    this.#back = new GiveBack(options.device, options.irqfd);
    this.requests = new BlkRequests(this.#hostFinished);
  }

  /** A doorbell was rung. */
  notified(queue: VirtQueueState): void {
    this.#turns.add(queue);
  }

  /** Whether `step` would do something. */
  get busy(): boolean {
    return (
      this.#phase !== IDLE || this.requests.hasDone || this.#host.busy || (this.#mayBegin && this.#hasWork)
    );
  }
  get #hasWork(): boolean {
    return this.#turns.any || this.requests.retry.length > 0;
  }
  get #mayBegin(): boolean {
    return this.#options.errors.running;
  }

  /** Drops everything that is in flight, of one queue or of all. */
  drop(queue?: VirtQueueState): void {
    const mine = queue === undefined || this.#queue === queue;
    if (mine && this.#phase >= HANDLE && this.#phase <= REQ_COMPLETE) this.requests.release(this.#request);
    if (mine) this.#phase = IDLE;
    this.requests.drop(queue);
    this.#turns.drop(queue);
  }

  step(): boolean {
    switch (this.#phase) {
      case POP:
        return this.single ? this.#pop() : this.#serve();
      case HANDLE:
        return this.#handle();
      case RW_COMPLETE:
        return this.#rwComplete();
      case REQ_COMPLETE:
        return this.#reqComplete();
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
   * What next, in the order of QEMU's thread: what a handler or a coroutine does before it returns (an answer without the host, the
   * submission), then the rest of the queue (`virtio_blk_handle_vq` does not look at the event loop in between), and only then the
   * event loop's turn: completions that the host reported, requests to try again, and other doorbells.
   */
  #idle(): boolean {
    const done = this.requests.shiftDone();
    if (done !== undefined) return this.#complete(done);
    if (this.#host.stepSubmitted()) return true;
    if (this.#device.isBroken) {
      this.#turns.drop();
      for (const request of this.requests.retry.splice(0)) this.requests.release(request);
    }
    if (!this.#mayBegin) return this.#host.stepReported();
    const { resume } = this.#turns;
    if (resume !== undefined) {
      this.#turns.resume = undefined;
      this.#queue = resume;
      return this.single ? this.#pop() : this.#serve();
    }
    if (this.#host.stepReported()) return true;
    const again = this.requests.retry.pop();
    if (again !== undefined) return this.#tryAgain(again);
    const queue = this.#turns.next();
    return queue !== undefined && this.#beginTurn(queue);
  }

  /** The turn of a queue: its doorbell was rung, or its last turn ended before it was empty. */
  #beginTurn(queue: VirtQueueState): boolean {
    this.#queue = queue;
    this.#phase = POP;
    if (this.#turns.goesOn(queue)) return this.step();
    this.#trace.emit(E.virtio_queue_notify, 0, queue.index, 0, 0, 0);
    queue.ring?.setNotification(false);
    return true;
  }

  /** The turn is over and the ring is not empty: the queue goes to the end of the line. */
  #endTurn(queue: VirtQueueState): boolean {
    this.#turns.end(queue);
    return (this.single || this.budget > 0) && this.#idle();
  }

  /** The next chain's request; undefined when there is none or when the driver broke a rule (and the step is done). */
  #take(queue: VirtQueueState, ring: DeviceQueue): BlkRequest | undefined {
    let element: QueueElement | null;
    try {
      element = ring.pop();
      if (element === null) return undefined;
    } catch (error) {
      this.#options.fail(queue, error);
      return undefined;
    }
    this.#turns.left--;
    this.budget--;
    return this.requests.take(
      queue,
      element,
      this.#options.requestIdOf(queue, element.head),
      this.#device.generation,
    );
  }

  /** Takes the next chain. */
  #pop(): boolean {
    const queue = this.#queue;
    const { ring } = queue;
    this.#phase = IDLE;
    if (ring === undefined || this.#device.isBroken) return this.#idle();
    if (this.#turns.left <= 0) return this.#endTurn(queue);
    const request = this.#take(queue, ring);
    if (request === undefined) return this.#device.isBroken || this.#sleep(ring);
    this.#commands.popped(request);
    this.#request = request;
    this.#phase = HANDLE;
    return true;
  }

  /** What `step` does from POP to INTERRUPT, over and over while each request is a read or write that is answered at once. */
  #serve(): boolean {
    const queue = this.#queue;
    const { ring } = queue;
    this.#phase = IDLE;
    if (ring === undefined) return this.#idle();
    const turns = this.#turns;
    // An interrupt can end in a reset by whoever takes it.
    while (queue.ring === ring && !this.#device.isBroken && this.#mayBegin) {
      if (turns.left <= 0 || this.budget <= 0) return this.#endTurn(queue);
      const outcome = this.#shortcut.serve(queue, ring);
      if (outcome === NOT_PLAIN) return this.#serveLong(queue, ring);
      turns.left--;
      this.budget--;
      if (outcome > NOTIFY) return this.#leaveShortcut(outcome, queue, ring);
      if (outcome === NOTIFY) {
        this.#device.isr |= 1;
        this.#back.tell(queue, this.#shortcut.requestId);
      }
    }
    return true;
  }

  /** Takes the next chain, whatever it looks like; the steps go on from there. */
  #serveLong(queue: VirtQueueState, ring: DeviceQueue): boolean {
    this.#turns.resume = undefined;
    const request = this.#take(queue, ring);
    if (request === undefined) return this.#device.isBroken || this.#sleep(ring);
    this.#commands.popped(request);
    this.#request = request;
    return this.#handle();
  }

  /** The chain was taken and cannot be done at once. */
  #leaveShortcut(outcome: number, queue: VirtQueueState, ring: DeviceQueue): true {
    const { chain, requestId, type, sector, result, error } = this.#shortcut;
    const request = this.requests.take(queue, ring.adopt(chain), requestId, this.#device.generation);
    this.#request = request;
    if (outcome === TAKEN) {
      this.#commands.popped(request);
      return this.#handle();
    }
    this.#turns.resume = queue;
    request.adopt(request.element, type, sector);
    this.#commands.transfer(request);
    if (outcome === FAILED || result === undefined) {
      request.host.error = error;
      this.lastFailure = error;
      this.requests.pushDone(request);
    } else {
      this.#leaves(request);
      this.#host.expect(request.host, result);
    }
    return true;
  }

  /** Nothing is left on the ring: asks for doorbells again and looks once more, since one may have been missed in between. */
  #sleep(ring: DeviceQueue): boolean {
    if (!ring.setNotification(true)) return this.#idle();
    ring.setNotification(false);
    this.#phase = POP;
    return true;
  }

  /** Understands the request, and either gives it to the host or completes it. */
  #handle(): true {
    const request = this.#request;
    this.#phase = IDLE;
    if (this.#parse(request)) this.#decide(request);
    return true;
  }

  /** False when there is nothing that could be answered. */
  #parse(request: BlkRequest): boolean {
    this.#turns.resume = request.queue;
    try {
      request.parse(this.#memory, request.element);
      return true;
    } catch (error) {
      this.#refuse(request, error);
      return false;
    }
  }

  #refuse(request: BlkRequest, error: unknown): void {
    this.requests.release(request);
    this.#options.fail(request.queue, error);
  }

  #decide(request: BlkRequest): void {
    try {
      if (!this.#commands.begin(request)) {
        this.requests.pushDone(request);
        return;
      }
    } catch (error) {
      this.#refuse(request, error);
      return;
    }
    if (!this.single && this.#host.performNow(request.host)) {
      this.#settle(request);
      this.requests.pushDone(request);
      return;
    }
    this.#leaves(request);
    if (this.single) this.#host.submit(request.host);
  }

  /** It is the host's now. */
  #leaves(request: BlkRequest): void {
    request.atHost = true;
    this.requests.atHost++;
  }

  /** The machine runs on: as QEMU, the request is handled once more from the start, but with the header that was copied. */
  #tryAgain(request: BlkRequest): boolean {
    request.host.error = undefined;
    request.status = BLK_S.ok;
    this.#decide(request);
    return true;
  }

  /** The host is done with it. What was begun before a reset is dropped (its memory belongs to somebody else now). */
  readonly #hostFinished = (request: BlkRequest): void => {
    request.atHost = false;
    this.requests.atHost--;
    if (request.generation !== this.#device.generation) {
      this.requests.release(request);
      return;
    }
    this.#settle(request);
    this.requests.pushDone(request);
  };

  /** How it went at the host. */
  #settle(request: BlkRequest): void {
    const { host } = request;
    if (host.error !== undefined) this.lastFailure = host.error;
    else if (request.rw && !request.isWrite) request.written = host.bytes;
  }

  // ---- completion ----

  #complete(request: BlkRequest): boolean {
    this.#request = request;
    this.#queue = request.queue;
    this.#phase = request.rw ? RW_COMPLETE : REQ_COMPLETE;
    if (request.rw || request.host.error === undefined) return this.step();
    return this.#obeyPolicy(request) ? this.step() : true;
  }

  #rwComplete(): boolean {
    const { requestId, host } = this.#request;
    const ret = host.error === undefined ? 0 : -errnoOf(host.error);
    this.#trace.emit(E.virtio_blk_rw_complete, requestId, ret, 0, 0, 0);
    this.#phase = REQ_COMPLETE;
    if (host.error !== undefined && !this.#obeyPolicy(this.#request)) return true;
    return this.single || this.#reqComplete();
  }

  /** `rerror=` and `werror=`; false when the request has to wait for the machine to run on. */
  #obeyPolicy(request: BlkRequest): boolean {
    if (obeyPolicy(this.#options, request) !== 'stop') return true;
    this.#phase = IDLE;
    this.requests.retry.push(request);
    this.#options.errors.stop();
    return false;
  }

  #reqComplete(): boolean {
    const request = this.#request;
    this.#completion.answer(request);
    this.#back.begin(request.queue, request.element, request.requestId, usedLength(request));
    this.requests.release(request);
    this.#phase = GIVE_BACK;
    return this.single || this.#gaveBack(this.#back.atOnce());
  }

  /** `after`: what follows what was done of giving the chain back. */
  #gaveBack(after: number): true {
    if (after !== AFTER.more) this.#phase = after === AFTER.interrupt ? INTERRUPT : IDLE;
    return true;
  }
}

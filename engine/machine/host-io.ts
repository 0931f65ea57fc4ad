/**
 * The host's side of a request, as three resumable pieces: QEMU's thread hands it to the host (station 6), the disk does it
 * (7 and 8), QEMU's thread hears of it (9). The bytes really move: `BlockNode` is asked when the disk takes the request. When they
 * would have moved by the model clock is kept beside.
 *
 * Every `step` does one thing that can be seen, at most one event, and answers whether it did anything.
 */
import { errnoOf } from '../block/on-error.ts';
import type { BlockNode } from '../block/node.ts';
import { isPromise, type Maybe } from '../maybe.ts';
import { OP } from '../trace/format.ts';
import { E } from '../trace/registry.ts';
import { highWord, type TraceRing } from '../trace/ring.ts';
import type { CostTable } from './costs.ts';

/**
 * How QEMU hands I/O to the host: `aio=` of `-drive` and `-blockdev`. With `vhost` it is not QEMU: the host's kernel itself works on a
 * file, without QEMU's block layer.
 */
export type AioMode = 'threads' | 'io_uring' | 'native' | 'vhost';

/** One request to a block node, kept and used again by the device that makes it. */
export class HostRequest {
  requestId = 0;
  /** One of `OP`. */
  op: number = OP.read;
  /** Byte offset and length on the guest's disk. */
  offset = 0;
  bytes = 0;
  /** The guest's memory, piece by piece; the first `windowCount` are this request's. */
  readonly windows: Uint8Array[] = [];
  windowCount = 0;
  /** Ask the node to give space back when zeroes are written. */
  unmap = false;
  /** Flush after writing data or zeroes: the write cache is off. */
  through = false;
  node!: BlockNode;
  /** What went wrong, or undefined. */
  error: unknown;
  /** The device was reset: what has not begun is not begun any more. */
  cancelled = false;
  /** Called on QEMU's thread when all is done. */
  readonly finished: (request: HostRequest) => void;

  // Kept by HostIo.
  step = 0;
  dueNs = 0;
  ready = false;
  next: HostRequest | undefined;

  constructor(finished: (request: HostRequest) => void) {
    this.finished = finished;
  }
}

/** A queue of requests linked through themselves: no garbage. */
class Fifo {
  head: HostRequest | undefined;
  #tail: HostRequest | undefined;

  push(request: HostRequest): void {
    request.next = undefined;
    if (this.#tail === undefined) this.head = request;
    else this.#tail.next = request;
    this.#tail = request;
  }

  shift(): HostRequest | undefined {
    const first = this.head;
    if (first === undefined) return undefined;
    this.head = first.next;
    if (this.head === undefined) this.#tail = undefined;
    first.next = undefined;
    return first;
  }

  /** Inserts by `dueNs`; what is due last is looked at first, since that is where it nearly always belongs. */
  insert(request: HostRequest): void {
    if (this.#tail === undefined || this.#tail.dueNs <= request.dueNs) {
      this.push(request);
      return;
    }
    let before: HostRequest | undefined;
    for (let at = this.head; at !== undefined && at.dueNs <= request.dueNs; at = at.next) before = at;
    request.next = before === undefined ? this.head : before.next;
    if (before === undefined) this.head = request;
    else before.next = request;
  }
}

const BLK_EVENT: readonly number[] = [
  E.blk_co_preadv,
  E.blk_co_pwritev,
  E.blk_co_flush,
  E.blk_co_pdiscard,
  E.blk_co_pwrite_zeroes,
  // An erasure writes zeroes as if they were data.
  E.blk_co_pwritev,
];
const SUBMIT_EVENT = {
  threads: E.file_paio_submit,
  io_uring: E.luring_co_submit,
  native: E.laio_co_submit,
  vhost: E.fd_execute_rw,
} as const;
const COMPLETE_EVENT = {
  threads: E.thread_pool_complete,
  io_uring: E.luring_process_completion,
  native: E.qemu_laio_process_completion,
  vhost: E.target_complete_cmd,
} as const;

export interface HostIoOptions {
  aio?: AioMode;
  /** Nodes that are reached in another way than `aio`. */
  modes?: ReadonlyMap<BlockNode, AioMode>;
  /** Without costs the disk takes no model time. */
  costs?: CostTable;
  /** The disk's channels, when others reach it as well (`hostChannels`). */
  channels?: Float64Array;
  /** Called when a promise of a block node came true and there is something to do again. */
  onReady?: () => void;
}

/** When each channel of the disk is free again, model nanoseconds: what several ways to one disk have in common. */
export function hostChannels(costs: CostTable | undefined): Float64Array {
  return new Float64Array(Math.max(1, Math.round(costs?.['hardware.channels'] ?? 1)));
}

export class HostIo {
  /** Requests that the host has taken and not yet reported. */
  inFlight = 0;
  readonly #trace: TraceRing;
  readonly #costs: CostTable | undefined;
  readonly #aio: AioMode;
  /** Undefined when all nodes are reached in the same way. */
  #modes: WeakMap<BlockNode, AioMode> | undefined;
  readonly #onReady: (() => void) | undefined;
  readonly #submitted = new Fifo();
  readonly #issued = new Fifo();
  readonly #done = new Fifo();
  readonly #reported = new Fifo();
  readonly #channels: Float64Array;

  constructor(trace: TraceRing, options: HostIoOptions = {}) {
    this.#aio = options.aio ?? 'threads';
    this.#modes = options.modes === undefined ? undefined : new WeakMap(options.modes);
    this.#trace = trace;
    this.#costs = options.costs;
    this.#onReady = options.onReady;
    this.#channels = options.channels ?? hostChannels(options.costs);
  }

  /** From now on the node is reached in this way. */
  reach(node: BlockNode, aio: AioMode): void {
    if (aio === this.#aio && this.#modes === undefined) return;
    this.#modes ??= new WeakMap();
    this.#modes.set(node, aio);
  }

  #aioOf({ node }: HostRequest): AioMode {
    return this.#modes?.get(node) ?? this.#aio;
  }

  /** Takes a request whose members are set. */
  submit(request: HostRequest): void {
    request.step = 0;
    request.error = undefined;
    request.cancelled = false;
    this.inFlight++;
    this.#submitted.push(request);
  }

  /**
   * Does it at once, for whoever has no scheduler: true when the request is done, false when the block node answers later
   * (`stepReported` tells of it then). The host's own stations are only a model and are left out.
   */
  performNow(request: HostRequest): boolean {
    request.error = undefined;
    request.cancelled = false;
    this.#emit(BLK_EVENT[request.op], request);
    let result: Maybe<void> = undefined;
    try {
      result = perform(request, 0);
    } catch (error) {
      request.error = error;
    }
    if (isPromise(result)) {
      this.inFlight++;
      this.#await(request, result);
      return false;
    }
    return true;
  }

  /** Hears later of a request that its device has begun itself (`stepReported` tells of it then). */
  expect(request: HostRequest, result: Promise<void>): void {
    request.error = undefined;
    request.cancelled = false;
    this.inFlight++;
    this.#await(request, result);
  }

  /** Whether QEMU's thread has something to do here. */
  get busy(): boolean {
    return this.#submitted.head !== undefined || this.#reported.head !== undefined;
  }

  /** When the disk has something to do next, model nanoseconds; Infinity for never. */
  get hardwareDue(): number {
    const issue = this.#issued.head?.dueNs ?? Infinity;
    const done = this.#done.head?.dueNs ?? Infinity;
    return Math.min(issue, done);
  }

  #emit(event: number, request: HostRequest): void {
    const { requestId, offset, bytes } = request;
    this.#trace.emit(event, requestId, offset >>> 0, highWord(offset), bytes, 0);
  }
  #emitOp(event: number, request: HostRequest): void {
    const { requestId, op, offset, bytes } = request;
    this.#trace.emit(event, requestId, op, offset >>> 0, highWord(offset), bytes);
  }

  /** QEMU's thread, in its event loop: hears of one request that the host is done with. */
  stepReported(): boolean {
    const request = this.#reported.shift();
    if (request === undefined) return false;
    const event = COMPLETE_EVENT[this.#aioOf(request)];
    this.#trace.emit(event, request.requestId, -errorNumber(request), 0, 0, 0);
    this.inFlight--;
    request.finished(request);
    return true;
  }

  /** QEMU's thread, in the request's coroutine: hands what was submitted to the host. */
  stepSubmitted(): boolean {
    const request = this.#submitted.head;
    if (request === undefined) return false;
    const aio = this.#aioOf(request);
    // QEMU's block layer is on the way, unless the host's kernel itself works on the file.
    if (request.step === 0 && aio !== 'vhost') {
      this.#emit(BLK_EVENT[request.op], request);
      request.step = 1;
      return true;
    }
    this.#submitted.shift();
    this.#emitOp(SUBMIT_EVENT[aio], request);
    request.dueNs = this.#trace.modelNs;
    this.#issued.push(request);
    return true;
  }

  /** The disk: takes the next request, or finishes the one that is due. `trace.modelNs` should be `hardwareDue`. */
  stepHardware(): boolean {
    const issue = this.#issued.head;
    const done = this.#done.head;
    if (issue !== undefined && (done === undefined || issue.dueNs <= done.dueNs)) {
      this.#issue(issue);
      return true;
    }
    if (done === undefined) return false;
    this.#done.shift();
    this.#trace.emit(E.host_rq_complete, done.requestId, done.op, errorNumber(done), 0, 0);
    this.#reported.push(done);
    return true;
  }

  #issue(request: HostRequest): void {
    this.#issued.shift();
    this.#emitOp(E.host_rq_issue, request);
    request.dueNs = this.#serve(request);
    let result: Maybe<void>;
    try {
      result = request.cancelled ? undefined : perform(request, 0);
    } catch (error) {
      request.error = error;
      this.#done.insert(request);
      return;
    }
    if (isPromise(result)) this.#await(request, result);
    else this.#done.insert(request);
  }

  #await(request: HostRequest, result: Promise<void>): void {
    result.then(
      () => this.#late(request),
      (error: unknown) => {
        request.error = error;
        this.#late(request);
      },
    );
  }

  /** A block node answered later: by the model clock not before now. */
  #late(request: HostRequest): void {
    this.#done.insert(request);
    this.#onReady?.();
  }

  /** Which channel of the disk is free first, and when it will be done with the request. */
  #serve(request: HostRequest): number {
    const costs = this.#costs;
    if (costs === undefined) return request.dueNs;
    const channels = this.#channels;
    let first = 0;
    for (let i = 1; i < channels.length; i++) if (channels[i] < channels[first]) first = i;
    const fixed =
      request.op === OP.read
        ? costs['hardware.read']
        : request.op === OP.flush
          ? costs['hardware.flush']
          : costs['hardware.write'];
    const moved = request.op <= OP.write ? (request.bytes / 1024) * costs['hardware.per-kib'] : 0;
    const due = Math.max(channels[first], this.#trace.modelNs) + fixed + moved;
    channels[first] = due;
    return due;
  }
}

/** Linux's number of what went wrong, 0 when nothing did. */
function errorNumber({ error }: HostRequest): number {
  return error === undefined ? 0 : errnoOf(error);
}

/** Does what the request asks for from window `index` on. */
function perform(request: HostRequest, index: number): Maybe<void> {
  const { node, op, windows, windowCount } = request;
  if (op === OP.flush) return node.flush();
  if (op === OP.writeZeroes) {
    return finish(request, node.writeZeroes(request.offset, request.bytes, request.unmap));
  }
  if (op === OP.discard) return node.discard(request.offset, request.bytes);
  if (op === OP.secureErase) return erase(request);
  let offset = request.offset;
  for (let i = 0; i < index; i++) offset += windows[i].length;
  for (let i = index; i < windowCount; i++) {
    const window = windows[i];
    const moved = op === OP.read ? node.read(offset, window) : node.write(offset, window);
    if (isPromise(moved)) return moved.then(() => perform(request, i + 1));
    offset += window.length;
  }
  if (op === OP.write && request.through) return node.flush();
}

/** After a write: the flush that a write cache that is off wants. */
function finish({ through, node }: HostRequest, written: Maybe<void>): Maybe<void> {
  if (!through) return written;
  return isPromise(written) ? written.then(() => node.flush()) : node.flush();
}

/** What an erasure writes at once, bytes. */
const ERASE_PIECE = 1 << 20;

/**
 * Overwrites the range with zeroes that are stored, and flushes: neither a node's own zeroes nor a discard will
 * do, which leave the old bytes where they were.
 */
function erase({ node, offset, bytes }: HostRequest): Maybe<void> {
  const zeroes = new Uint8Array(Math.min(ERASE_PIECE, bytes));
  const from = (at: number): Maybe<void> => {
    while (at < bytes) {
      const length = Math.min(ERASE_PIECE, bytes - at);
      const written = node.write(offset + at, zeroes.subarray(0, length));
      at += length;
      if (isPromise(written)) return written.then(() => from(at));
    }
    return node.flush();
  };
  return from(0);
}

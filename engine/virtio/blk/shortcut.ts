/**
 * The short way of a read or a write whose chain is plain (queue/plain.ts) and whose block node answers at once: the same checks, the
 * same bytes, the same events as thread.ts gives it step by step, in one go and without making anything. Whatever is not as usual is
 * left to the long way.
 *
 * Events are recorded in two groups, before the block node is asked and after it has answered; the real clock is not read in between.
 */
import type { BlockNode } from '../../block/node.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { isPromise, type Maybe } from '../../maybe.ts';
import { E } from '../../trace/registry.ts';
import { CELL, highWord, type TraceRing } from '../../trace/ring.ts';
import type { VirtQueueState } from '../device.ts';
import { PlainChain } from '../queue/plain.ts';
import type { DeviceQueue } from '../queue/queue.ts';
import type { BlkCommands } from './commands.ts';
import type { BlkStats } from './completion.ts';
import { BLK_S, BLK_T, HEADER_SIZE, SECTOR } from './protocol.ts';

/** What became of the next chain. */
export const NOT_PLAIN = 0;
/** It is done, and the driver wants an interrupt or not. */
export const DONE = 1;
export const INTERRUPT = 2;
/** It was taken, and goes on the long way from its header. */
export const TAKEN = 3;
/** Its transfer was begun: `result` comes later, or `error` is what it failed with. */
export const LATE = 4;
export const FAILED = 5;

export class BlkShortcut {
  readonly chain = new PlainChain();
  /** Of the chain that was last taken: trace id, and its header as it was read. */
  requestId = 0;
  type = 0;
  sector = 0;
  result: Promise<void> | undefined;
  error: unknown;
  readonly #memory: GuestMemory;
  readonly #trace: TraceRing;
  readonly #node: BlockNode;
  readonly #commands: BlkCommands;
  readonly #stats: BlkStats;
  readonly #notifyEvent: number;
  readonly #requestIdOf: (queue: VirtQueueState, head: number) => number;

  constructor(
    node: BlockNode,
    memory: GuestMemory,
    trace: TraceRing,
    commands: BlkCommands,
    stats: BlkStats,
    irqfd: boolean,
    requestIdOf: (queue: VirtQueueState, head: number) => number,
  ) {
    this.#memory = memory;
    this.#trace = trace;
    this.#node = node;
    this.#commands = commands;
    this.#stats = stats;
    this.#notifyEvent = irqfd ? E.virtio_notify_irqfd : E.virtio_notify;
    this.#requestIdOf = requestIdOf;
  }

  /** Serves the next chain of the ring. */
  serve(queue: VirtQueueState, ring: DeviceQueue): number {
    const { chain } = this;
    if (!ring.popPlain(chain)) return NOT_PLAIN;
    const memory = this.#memory;
    const { words } = memory;
    const requestId = (this.requestId = this.#requestIdOf(queue, chain.head));
    const header = chain.header >>> 2;
    const type = words[header];
    const sector = words[header + 2];
    const bytes = chain.dataLength;
    const write = type === BLK_T.out;
    if (
      type > BLK_T.out ||
      write === chain.writable ||
      words[header + 3] !== 0 ||
      chain.headerLength !== HEADER_SIZE ||
      chain.statusLength !== 1 ||
      (chain.header & 3) !== 0 ||
      !this.#commands.fits(sector, bytes, write)
    ) {
      return TAKEN;
    }
    this.type = type;
    this.sector = sector;
    const offset = sector * SECTOR;
    if (this.#trace.enabled) this.#recordBegin(queue.index, write, sector, offset, bytes);
    if (!write) memory.dirty(chain.data, bytes);
    const window = memory.window(chain.data, bytes);
    let result: Maybe<void>;
    try {
      result = write ? this.#node.write(offset, window) : this.#node.read(offset, window);
    } catch (error) {
      this.error = error;
      return FAILED;
    }
    if (isPromise(result)) {
      this.result = result;
      return LATE;
    }
    memory.dirty(chain.status, 1);
    memory.bytes[chain.status] = BLK_S.ok;
    const written = write ? 1 : bytes + 1;
    const idx = ring.usedIdx;
    const notify = ring.completePlain(chain, written);
    const stats = this.#stats;
    if (write) {
      stats.writes++;
      stats.bytesWritten += bytes;
    } else {
      stats.reads++;
      stats.bytesRead += bytes;
    }
    if (this.#trace.enabled) this.#recordEnd(queue.index, requestId, written, idx, notify);
    return notify ? INTERRUPT : DONE;
  }

  #recordBegin(queue: number, write: boolean, sector: number, offset: number, bytes: number): void {
    const trace = this.#trace;
    const { chain, requestId } = this;
    const inCount = chain.writable ? 2 : 1;
    const handle = write ? E.virtio_blk_handle_write : E.virtio_blk_handle_read;
    const start = write ? E.blk_co_pwritev : E.blk_co_preadv;
    const low = offset >>> 0;
    const high = highWord(offset);
    const at = trace.reserve(3);
    if (at < 0) {
      trace.emit(E.virtqueue_pop, requestId, queue, chain.head, inCount, 3 - inCount);
      trace.emit(handle, requestId, sector, 0, bytes >>> 9, 0);
      trace.emit(start, requestId, low, high, bytes, 0);
      return;
    }
    let now = trace.modelNs;
    now = trace.put(at, now, E.virtqueue_pop, requestId, queue, chain.head, inCount, 3 - inCount);
    now = trace.put(at + CELL, now, handle, requestId, sector, 0, bytes >>> 9, 0);
    trace.modelNs = trace.put(at + CELL * 2, now, start, requestId, low, high, bytes, 0);
  }

  #recordEnd(queue: number, requestId: number, written: number, idx: number, notify: boolean): void {
    const trace = this.#trace;
    const { head } = this.chain;
    const last = notify ? this.#notifyEvent : E.virtio_should_notify;
    const at = trace.reserve(5);
    if (at < 0) {
      trace.emit(E.virtio_blk_rw_complete, requestId, 0, 0, 0, 0);
      trace.emit(E.virtio_blk_req_complete, requestId, BLK_S.ok, 0, 0, 0);
      trace.emit(E.virtqueue_fill, requestId, queue, head, written, idx);
      trace.emit(E.virtqueue_flush, requestId, queue, 1, 0, 0);
      trace.emit(last, requestId, queue, 0, 0, 0);
      return;
    }
    let now = trace.modelNs;
    now = trace.put(at, now, E.virtio_blk_rw_complete, requestId, 0, 0, 0, 0);
    now = trace.put(at + CELL, now, E.virtio_blk_req_complete, requestId, BLK_S.ok, 0, 0, 0);
    now = trace.put(at + CELL * 2, now, E.virtqueue_fill, requestId, queue, head, written, idx);
    now = trace.put(at + CELL * 3, now, E.virtqueue_flush, requestId, queue, 1, 0, 0);
    trace.modelNs = trace.put(at + CELL * 4, now, last, requestId, queue, 0, 0, 0);
  }
}

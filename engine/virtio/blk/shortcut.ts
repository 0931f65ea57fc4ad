/**
 * The short way of a read or a write whose chain is plain (queue/plain.ts) and whose block node answers at once: the same checks, the
 * same bytes, the same events as thread.ts gives it step by step, in one go and without making anything. Whatever is not as usual is
 * left to the long way.
 *
 * Its events are recorded in one burst when the answer is there: the real clock is not read within it.
 */
import type { BlockNode } from '../../block/node.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { isPromise, type Maybe } from '../../maybe.ts';
import { BURST, type Burst } from '../../trace/burst.ts';
import type { TraceRing } from '../../trace/ring.ts';
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
  /** The bursts of requests whose driver is told. */
  readonly #read: Burst;
  readonly #written: Burst;
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
    this.#read = irqfd ? BURST.read.irqfd : BURST.read.notify;
    this.#written = irqfd ? BURST.write.irqfd : BURST.write.notify;
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
    if (!write) memory.dirty(chain.data, bytes);
    const window = memory.window(chain.data, bytes);
    let result: Maybe<void>;
    try {
      result = write ? this.#node.write(offset, window) : this.#node.read(offset, window);
    } catch (error) {
      this.error = error;
      this.#recordBegun(queue, write);
      return FAILED;
    }
    if (isPromise(result)) {
      this.result = result;
      this.#recordBegun(queue, write);
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
    const told = write ? this.#written : this.#read;
    const quiet = write ? BURST.write.quiet : BURST.read.quiet;
    this.#trace.emitBurst(
      notify ? told : quiet,
      requestId,
      chain.head | (idx << 16),
      sector,
      bytes,
      queue.index | (write ? 0x1_0000 : 0x2_0000),
    );
    return notify ? INTERRUPT : DONE;
  }

  /** The events up to the host, when its answer is not there yet. */
  #recordBegun(queue: VirtQueueState, write: boolean): void {
    const { head, dataLength } = this.chain;
    this.#trace.emitBurst(
      write ? BURST.writeBegun : BURST.readBegun,
      this.requestId,
      head,
      this.sector,
      dataLength,
      queue.index | (write ? 0x1_0000 : 0x2_0000),
    );
  }
}

/**
 * The way of a drive's transfers to the host and back: each is one `HostRequest`; its completion, and whatever QEMU puts off to a
 * bottom half, waits for the device's thread, which takes one at a time.
 */
import type { BlockNode } from '../block/node.ts';
import { HostIo, HostRequest } from '../machine/host-io.ts';
import { OP } from '../trace/format.ts';
import type { ScatterList } from './scatter.ts';

/** Why a transfer ended without the host: it was given up. */
export const CANCELLED = Symbol('cancelled');

/** Called with undefined, or with what went wrong. */
export type Finished = (error: unknown) => void;

export class Transfer {
  readonly host: HostRequest;
  /** The bytes of a buffered transfer: what the drive's buffer holds may change meanwhile. */
  buffer = new Uint8Array(0);
  bytes = 0;
  finished: Finished | undefined;
  /** Called when the host is done with it, wanted or not. */
  settled: (() => void) | undefined;
  /** What waits for its end, called last. */
  readonly afterwards: (() => void)[] = [];

  constructor(done: (transfer: Transfer) => void) {
    this.host = new HostRequest(() => done(this));
  }

  /** Nobody waits for it any more. What only reads need not even begin. */
  orphan(): void {
    this.finished = undefined;
    if (this.host.op === OP.read) this.host.cancelled = true;
  }
}

export class IdeIo {
  readonly #host: HostIo;
  readonly #pool: Transfer[] = [];
  readonly #todo: (() => void)[] = [];

  constructor(host: HostIo) {
    this.#host = host;
  }

  /** Puts something off until the device's thread comes by (QEMU's bottom halves). */
  defer(action: () => void): void {
    this.#todo.push(action);
  }

  #take(node: BlockNode, requestId: number, op: number, offset: number, finished: Finished): Transfer {
    const transfer = this.#pool.pop() ?? new Transfer(this.#done);
    transfer.finished = finished;
    const { host } = transfer;
    host.node = node;
    host.requestId = requestId;
    host.op = op;
    host.offset = offset;
    host.bytes = 0;
    host.windowCount = 0;
    host.unmap = false;
    host.through = false;
    return transfer;
  }

  readonly #done = (transfer: Transfer): void => {
    this.#todo.push(() => {
      // Taken only now: somebody may have orphaned it in between.
      const { finished, settled } = transfer;
      transfer.finished = transfer.settled = undefined;
      settled?.();
      finished?.(transfer.host.error);
      for (const next of transfer.afterwards.splice(0)) next();
      this.#pool.push(transfer);
    });
  };

  /** Reads or writes through a buffer of the transfer's own. To write, `bytes` come out of `source`. */
  buffered(
    node: BlockNode,
    requestId: number,
    offset: number,
    bytes: number,
    source: Uint8Array | undefined,
    finished: Finished,
  ): Transfer {
    const op = source === undefined ? OP.read : OP.write;
    const transfer = this.#take(node, requestId, op, offset, finished);
    if (transfer.buffer.length < bytes) transfer.buffer = new Uint8Array(bytes);
    const window = transfer.buffer.subarray(0, bytes);
    if (source !== undefined) window.set(source.subarray(0, bytes));
    transfer.bytes = transfer.host.bytes = bytes;
    transfer.host.windows[0] = window;
    transfer.host.windowCount = 1;
    return transfer;
  }

  /** Reads or writes guest memory. */
  scattered(
    node: BlockNode,
    requestId: number,
    op: number,
    offset: number,
    list: ScatterList,
    finished: Finished,
  ): Transfer {
    const transfer = this.#take(node, requestId, op, offset, finished);
    for (let i = 0; i < list.count; i++) transfer.host.windows[i] = list.windows[i];
    transfer.host.windowCount = list.count;
    transfer.bytes = transfer.host.bytes = list.bytes;
    return transfer;
  }

  /** A flush or a discard. */
  plain(
    node: BlockNode,
    requestId: number,
    op: number,
    offset: number,
    bytes: number,
    finished: Finished,
  ): Transfer {
    const transfer = this.#take(node, requestId, op, offset, finished);
    transfer.bytes = transfer.host.bytes = bytes;
    return transfer;
  }

  submit(transfer: Transfer): Transfer {
    this.#host.submit(transfer.host);
    return transfer;
  }

  get busy(): boolean {
    return this.#todo.length > 0 || this.#host.busy;
  }

  /** One completion, one thing that was put off, or one step of the host's. */
  step(): boolean {
    const next = this.#todo.shift();
    if (next !== undefined) {
      next();
      return true;
    }
    return this.#host.stepSubmitted() || this.#host.stepReported();
  }

  /** Everything, the disk included, until nothing is left to do. For whoever has no scheduler of his own. */
  process(): void {
    do while (this.step());
    while (this.#host.stepHardware());
  }
}

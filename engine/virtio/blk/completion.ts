/** A request gets its answer: the status byte, and what is counted. */
import type { GuestMemory } from '../../machine/memory.ts';
import { E } from '../../trace/registry.ts';
import type { TraceRing } from '../../trace/ring.ts';
import { BLK_S, BLK_T, TYPE_BARRIER } from './protocol.ts';
import type { BlkRequest } from './request.ts';

/** Requests by what they did, and those that did not go well. */
export interface BlkStats {
  reads: number;
  writes: number;
  flushes: number;
  others: number;
  errors: number;
  bytesRead: number;
  bytesWritten: number;
}

export class BlkCompletion {
  readonly stats: BlkStats = {
    reads: 0,
    writes: 0,
    flushes: 0,
    others: 0,
    errors: 0,
    bytesRead: 0,
    bytesWritten: 0,
  };
  readonly #memory: GuestMemory;
  readonly #trace: TraceRing;

  constructor(memory: GuestMemory, trace: TraceRing) {
    this.#memory = memory;
    this.#trace = trace;
  }

  /** The status byte. */
  answer(request: BlkRequest): void {
    this.#memory.dirty(request.statusAt, 1);
    this.#memory.bytes[request.statusAt] = request.status;
    this.#count(request);
    this.#trace.emit(E.virtio_blk_req_complete, request.requestId, request.status, 0, 0, 0);
  }

  #count(request: BlkRequest): void {
    const { stats } = this;
    if (request.status !== BLK_S.ok) stats.errors++;
    const type = request.type & ~TYPE_BARRIER;
    if (type === BLK_T.in) {
      stats.reads++;
      stats.bytesRead += request.written;
    } else if (type === BLK_T.out) {
      stats.writes++;
      if (request.status === BLK_S.ok) stats.bytesWritten += request.outBytes;
    } else if (type === BLK_T.flush) {
      stats.flushes++;
    } else {
      stats.others++;
    }
  }
}

/** Section 2.7.8.2: `len` is what was written from the start of the writable part on, so a failed read counts only its status. */
export function usedLength(request: BlkRequest): number {
  return request.written === request.inBytes ? request.inBytes + 1 : request.written;
}

/** What the program in the guest does: fio's `rw`, `bs`, `number_ios`, … as a sequence of requests that a seed fixes. */
import type { Workload } from '#contract/settings.ts';
import { PlatterError } from '../errors.ts';
import { OP } from '../trace/format.ts';

/** What the generator fills in. */
export interface ProgramRequest {
  /** One of `OP`: read, write or flush. */
  op: number;
  /** Byte offset and length on the guest's disk; 0 for a flush. */
  offset: number;
  bytes: number;
}

/** Mulberry32: 32 bits of state, good enough for offsets, the same everywhere. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = (seed ^ 0x9e37_79b9) >>> 0;
  }
  /** A number from 0 up to but not including 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 0x1_0000_0000;
  }
}

export class WorkloadGenerator {
  /** Requests handed out, flushes not counted (fio's `number_ios` does not either). */
  issued = 0;
  readonly #workload: Workload;
  readonly #random: Random;
  readonly #start: number;
  readonly #blocks: number;
  #position = 0;
  #writesSinceFlush = 0;

  /**
   * `diskBytes`: the disk's size. Throws `workload.does-not-fit` when the region has no room for one block.
   */
  constructor(workload: Workload, diskBytes: number) {
    const { bs, offset, size } = workload;
    const end = size === 0 ? diskBytes : Math.min(offset + size, diskBytes);
    this.#workload = workload;
    this.#random = new Random(workload.seed);
    this.#start = Math.ceil(offset / 512) * 512;
    this.#blocks = Math.floor((end - this.#start) / bs);
    if (bs % 512 !== 0) {
      throw new PlatterError('workload.block-size', `bs must be a multiple of 512 bytes; it is ${bs}`, {
        option: 'bs',
        value: String(bs),
        expected: 'a multiple of 512',
      });
    }
    if (this.#blocks < 1) {
      throw new PlatterError(
        'workload.does-not-fit',
        `no block of ${bs} bytes fits between byte ${offset} and the end of the region or disk at ${end}; make bs or offset smaller`,
        { option: 'bs', value: String(bs), offset },
      );
    }
  }

  /** Whether there is nothing more to do. */
  get finished(): boolean {
    const { numberIos, fsync } = this.#workload;
    return numberIos > 0 && this.issued >= numberIos && (fsync === 0 || this.#writesSinceFlush < fsync);
  }

  /** Fills in the next request; false when there is none. */
  next(request: ProgramRequest): boolean {
    const { rw, bs, fsync } = this.#workload;
    if (fsync > 0 && this.#writesSinceFlush >= fsync) {
      this.#writesSinceFlush = 0;
      request.op = OP.flush;
      request.offset = request.bytes = 0;
      return true;
    }
    if (this.finished) return false;
    this.issued++;
    request.op = this.#isRead() ? OP.read : OP.write;
    if (request.op === OP.write) this.#writesSinceFlush++;
    const block = rw.startsWith('rand') ? Math.floor(this.#random.next() * this.#blocks) : this.#position;
    this.#position = (this.#position + 1) % this.#blocks;
    request.offset = this.#start + block * bs;
    request.bytes = bs;
    return true;
  }

  #isRead(): boolean {
    const { rw, rwmixread } = this.#workload;
    if (rw === 'read' || rw === 'randread') return true;
    if (rw === 'write' || rw === 'randwrite') return false;
    return this.#random.next() * 100 < rwmixread;
  }
}

/**
 * The bytes that the program writes: each sector begins with its own number and the seed, and goes on with words that follow
 * from both, so that whoever reads it back can tell what belongs there.
 */
export function fillPattern(target: DataView, diskOffset: number, seed: number): void {
  for (let at = 0; at < target.byteLength; at += 512) {
    const sector = Math.floor((diskOffset + at) / 512);
    target.setUint32(at, sector, true);
    target.setUint32(at + 4, Math.floor(sector / 0x1_0000_0000), true);
    target.setUint32(at + 8, seed, true);
    let word = Math.imul(sector ^ 0x5bd1_e995, 0x85eb_ca6b) ^ seed;
    for (let i = 12; i < 512; i += 4) {
      word = (Math.imul(word, 0x0019_660d) + 0x3c6e_f35f) | 0;
      target.setInt32(at + i, word, true);
    }
  }
}

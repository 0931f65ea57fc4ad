/**
 * The copying itself: the guest-visible bytes of one node into another. Zeroes are not written where the target has them already;
 * compressed clusters are packed and unpacked several at a time.
 */
import { setTimeout } from 'node:timers/promises';
import { alignedBuffer, sharedBuffer } from '../../bytes/aligned.ts';
import { isZero } from '../is-zero.ts';
import { isPromise, type Maybe } from '../../maybe.ts';
import type { FormatNode } from '../access.ts';
import type { ClusterPacker } from '../format.ts';
import type { BlockNode } from '../node.ts';
import { readLater } from '../read-later.ts';
import { stretchAt, type Stretch } from './copy-plan.ts';
import { JobPace, type JobOptions } from './job.ts';
import { salvagingReader } from './salvage.ts';

export interface CopyOptions extends JobOptions {
  /** Zero runs of this many bytes (a multiple of 512) are left out; 0 writes everything. Default 4096. */
  sparse?: number;
  /** What the target shows where nothing is written: zeroes (default), anything, or what the source's own backing image shows. */
  blank?: 'zero' | 'noise' | 'backing';
  /** Write compressed clusters. */
  packer?: ClusterPacker;
  /** Waits until the target has taken the buffers it was given; for a target that writes behind. */
  settle?: () => Promise<void>;
  /** Bytes a second at most. */
  rate?: number;
  /** Bytes that cannot be read become zeroes, and are told of here. Default: the job fails. */
  onUnreadable?: (offset: number, length: number, error: unknown) => void;
}

/** Bytes read at a time. */
const PIECE = 2 << 20;
/** Bytes of zeroes written at a time. */
const ZERO_PIECE = 64 << 20;
/** Units under way: packing takes all threads and finds the next ones waiting. */
const DEPTH = 8;
/** Pieces of compressed clusters under way. */
const PLAIN_DEPTH = 5;

/** A piece that was begun; `bytes` is full once `ready` is. */
interface Piece {
  offset: number;
  bytes: Uint8Array;
  ready: Maybe<Uint8Array | undefined | void>;
}

/** Copies `source` to the start of `target`, which is at least as large. */
export async function copyContents(
  source: BlockNode,
  target: FormatNode,
  options: CopyOptions = {},
): Promise<void> {
  const copy = new Copy(source, target, options);
  await (options.packer === undefined ? copy.plain() : copy.packed(options.packer));
}

class Copy {
  readonly #source: BlockNode;
  readonly #target: FormatNode;
  readonly #options: CopyOptions;
  readonly #pace: JobPace;
  readonly #total: number;
  readonly #own: boolean;
  readonly #sparse: number;
  readonly #read: (offset: number, target: Uint8Array) => Maybe<void>;
  readonly #queue: Piece[] = [];
  readonly #start = performance.now();
  #moved = 0;

  constructor(source: BlockNode, target: FormatNode, options: CopyOptions) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#pace = new JobPace(options);
    this.#total = source.virtualSize;
    this.#own = options.blank === 'backing';
    this.#sparse = options.sparse ?? 4096;
    const { onUnreadable } = options;
    this.#read =
      onUnreadable === undefined
        ? (offset, bytes) => source.read(offset, bytes)
        : salvagingReader(source, onUnreadable);
  }

  /** Pieces of whatever the source's extents are. */
  async plain(): Promise<void> {
    const buffers = new Buffers(PIECE, PLAIN_DEPTH, sharedBuffer);
    this.#pace.check();
    for (let at = 0; at < this.#total;) {
      const found = this.#stretch(at);
      const { length, kind, packed } = isPromise(found) ? await found : found;
      if (kind === 'skip' || (kind === 'zero' && this.#sparse > 0)) {
        if (kind === 'zero' && this.#options.blank !== undefined && this.#options.blank !== 'zero')
          await this.#zeroes(at, length);
        at += length;
      } else {
        if (buffers.wraps) await this.#options.settle?.();
        const later = packed === true && this.#options.onUnreadable === undefined;
        const most = PIECE - (at % PIECE);
        const end = later ? await this.#packedEnd(at + length, at + most) : at + Math.min(length, most);
        const bytes = buffers.next().subarray(0, end - at);
        const read = later ? readLater(this.#source, at, bytes) : this.#read(at, bytes);
        if (later || this.#queue.length > 0) {
          // In the order of the disk: each buffer is written by the time that the target has to settle for it.
          this.#begin({ offset: at, bytes, ready: read });
          if (this.#queue.length >= PLAIN_DEPTH) await this.#finishPlain();
        } else {
          if (read !== undefined) await read;
          const written = this.#write(at, bytes);
          if (written !== undefined) await written;
        }
        at = end;
      }
      await this.#step(at);
    }
    while (this.#queue.length > 0) await this.#finishPlain();
    await this.#options.settle?.();
    this.#done();
  }

  /** Compressed clusters that follow each other are unpacked and written together. */
  async #packedEnd(from: number, most: number): Promise<number> {
    let end = from;
    while (end < Math.min(most, this.#total)) {
      const found = this.#stretch(end);
      const { length, packed } = isPromise(found) ? await found : found;
      if (packed !== true) break;
      end += length;
    }
    return Math.min(end, most);
  }

  /** Units of the packer's size. */
  async packed(packer: ClusterPacker): Promise<void> {
    const { unit } = packer;
    const buffers = new Buffers(unit, DEPTH, alignedBuffer);
    this.#pace.check();
    for (let at = 0; at < this.#total;) {
      const found = this.#stretch(at);
      const { length, kind, packed } = isPromise(found) ? await found : found;
      const whole = at + length >= this.#total ? this.#total - at : length - (length % unit);
      if (whole > 0 && kind !== 'data' && (kind === 'skip' || this.#sparse > 0)) {
        if (kind === 'zero' && this.#own) await this.#zeroes(at, whole);
        at += whole;
      } else {
        if (buffers.wraps) await this.#options.settle?.();
        const bytes = buffers.next();
        const there = Math.min(unit, this.#total - at);
        bytes.fill(0, there);
        const ready = this.#loadAndPack(packer, at, bytes, there, packed === true);
        this.#begin({ offset: at, bytes, ready });
        if (this.#queue.length >= DEPTH) await this.#finishPacked(packer);
        at += there;
      }
      await this.#step(at);
    }
    while (this.#queue.length > 0) await this.#finishPacked(packer);
    await this.#options.settle?.();
    this.#done();
  }

  /** Where tables cannot be read and the job shall go on, the bytes are tried one by one. */
  #stretch(at: number): Maybe<Stretch> {
    if (this.#options.onUnreadable === undefined)
      return stretchAt(this.#source, at, this.#total - at, this.#own);
    const unknown: Stretch = { length: Math.min(PIECE, this.#total - at), kind: 'data' };
    try {
      const found = stretchAt(this.#source, at, this.#total - at, this.#own);
      return isPromise(found) ? found.catch(() => unknown) : found;
    } catch {
      return unknown;
    }
  }

  /** The packed unit; undefined when it is to be written as it is, nothing in it when the target has it already. */
  async #loadAndPack(
    packer: ClusterPacker,
    offset: number,
    bytes: Uint8Array,
    there: number,
    packed: boolean,
  ): Promise<Uint8Array | undefined> {
    const part = bytes.subarray(0, there);
    const later = packed && this.#options.onUnreadable === undefined;
    const read = later ? readLater(this.#source, offset, part) : this.#read(offset, part);
    if (read !== undefined) await read;
    if (this.#sparse > 0 && !this.#own && isZero(part)) return new Uint8Array(0);
    return packer.pack(bytes);
  }

  #begin(piece: Piece): void {
    // Its failure is met when its turn comes; until then it must not count as one that nobody looks at.
    if (isPromise(piece.ready)) piece.ready.catch(() => undefined);
    this.#queue.push(piece);
  }

  async #finishPlain(): Promise<void> {
    const piece = this.#queue.shift();
    if (piece === undefined) return;
    await piece.ready;
    await this.#write(piece.offset, piece.bytes);
  }

  async #finishPacked(packer: ClusterPacker): Promise<void> {
    const piece = this.#queue.shift();
    if (piece === undefined) return;
    const packed = await piece.ready;
    if (packed === undefined) {
      const there = Math.min(piece.bytes.length, this.#total - piece.offset);
      await this.#target.write(piece.offset, piece.bytes.subarray(0, there));
      // Its buffer is the next but some to be used again.
      await this.#options.settle?.();
    } else if (packed.length > 0) {
      await this.#target.alone(() => packer.put(piece.offset, packed));
    }
    this.#moved += piece.bytes.length;
  }

  /** Writes the stretches between zero blocks, each in one call. */
  #write(offset: number, bytes: Uint8Array): Maybe<void> {
    this.#moved += bytes.length;
    const block = this.#sparse;
    const { blank } = this.#options;
    if (block === 0 || blank === 'noise') return this.#target.write(offset, bytes);
    return this.#writeRuns(offset, bytes, block);
  }

  #writeRuns(offset: number, bytes: Uint8Array, block: number, from = 0): Maybe<void> {
    const { length } = bytes;
    for (let at = from; at < length;) {
      const zero = blockIsZero(bytes, at, block);
      let end = at + block;
      while (end < length && blockIsZero(bytes, end, block) === zero) end += block;
      end = Math.min(end, length);
      const done = zero
        ? this.#own
          ? this.#target.writeZeroes(offset + at, end - at, false)
          : undefined
        : this.#target.write(offset + at, at === 0 && end === length ? bytes : bytes.subarray(at, end));
      if (done !== undefined) {
        const next = end;
        return done.then(() => this.#writeRuns(offset, bytes, block, next));
      }
      at = end;
    }
  }

  /** In pieces, so that a job over a large hole can still be cancelled. */
  async #zeroes(offset: number, length: number): Promise<void> {
    for (let done = 0; done < length; done += ZERO_PIECE) {
      await this.#target.writeZeroes(offset + done, Math.min(ZERO_PIECE, length - done), false);
      await this.#step(offset + done);
    }
  }

  async #step(at: number): Promise<void> {
    const { rate } = this.#options;
    if (rate !== undefined && rate > 0) {
      const ahead = (this.#moved / rate) * 1000 - (performance.now() - this.#start);
      if (ahead > 1) await setTimeout(Math.min(ahead, 1000));
    }
    await this.#pace.step(at, this.#total);
  }

  #done(): void {
    this.#options.onProgress?.(this.#total, this.#total);
    this.#pace.check();
  }
}

function blockIsZero(bytes: Uint8Array, at: number, block: number): boolean {
  // The first byte alone tells of most data.
  return bytes[at] === 0 && isZero(bytes.subarray(at, Math.min(at + block, bytes.length)));
}

/**
 * Buffers in turn, twice as many as can be under way: when the target has taken all that it was given each time that half of them were
 * used, none is used again before what was in it is written.
 */
class Buffers {
  readonly #bytes: number;
  readonly #half: number;
  readonly #make: (bytes: number) => Uint8Array;
  readonly #all: Uint8Array[] = [];
  #next = 0;

  constructor(bytes: number, depth: number, make: (bytes: number) => Uint8Array) {
    this.#bytes = bytes;
    this.#half = depth + 1;
    this.#make = make;
  }

  /** The target must have taken what it was given before the next one is used. */
  get wraps(): boolean {
    return this.#next > 0 && this.#next % this.#half === 0;
  }

  next(): Uint8Array {
    const index = this.#next++ % (2 * this.#half);
    return (this.#all[index] ??= this.#make(this.#bytes));
  }
}

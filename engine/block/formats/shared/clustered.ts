/**
 * What every format with a table of clusters (blocks, grains) does alike: answering where bytes are, writing with allocation and
 * copy-on-write, zeroing, discarding. A driver says where a cluster lies, where the next free one is, and how it is entered into
 * the table. The access layer reads and overwrites.
 */
import { PlatterError } from '../../../errors.ts';
import { andThen, isPromise, run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { ExtentSlot, FormatDescription, FormatDriver } from '../../format.ts';
import type { BlockNode } from '../../node.ts';
import { readOrZero } from '../../range.ts';
import type { Storage } from '../../storage/storage.ts';

/** Where one cluster lies. `hostOffset`: its first byte in the image. */
export interface ClusterState {
  kind: ExtentSlot['kind'];
  hostOffset?: number;
}

/** Shared answers without an offset. */
export const ZERO: ClusterState = { kind: 'zero' };
export const UNALLOCATED: ClusterState = { kind: 'unallocated' };

export interface ClusteredOptions {
  storage: Storage;
  /** Bytes. */
  virtualSize: number;
  /** Bytes. */
  clusterSize: number;
  readOnly: boolean;
  backing?: BlockNode;
}

/** Bytes moved at once when a cluster is filled from the backing image. */
const COPY_BYTES = 1 << 20;
/** Clusters looked at by one `locate`. */
const RUN_CLUSTERS = 4096;

export abstract class ClusteredDriver implements FormatDriver {
  abstract readonly format: string;
  readonly virtualSize: number;
  readonly readOnly: boolean;
  readonly clusterSize: number;
  readonly backing?: BlockNode;
  readonly storage: Storage;

  constructor(options: ClusteredOptions) {
    this.storage = options.storage;
    this.virtualSize = options.virtualSize;
    this.clusterSize = options.clusterSize;
    this.readOnly = options.readOnly;
    this.backing = options.backing;
  }

  /** Where cluster `index` lies. */
  abstract lookup(index: number): Maybe<ClusterState>;
  abstract describe(): Maybe<FormatDescription>;
  /** The byte offset of the image at which cluster `index` shall go; the space is reserved by the call. */
  protected abstract allocate(index: number): Steps<number>;
  /** Enters an allocated and filled cluster into the table. */
  protected abstract link(index: number, hostOffset: number): Steps<void>;

  /** Marks a whole cluster as zero in the table; `false` where the format cannot say that. */
  protected linkZero(_index: number): Steps<boolean> {
    return wait(false);
  }

  /** Whether data may be overwritten without a word to the driver. */
  protected get overwritable(): boolean {
    return !this.readOnly;
  }

  /** Called before every change that goes through the driver. */
  protected beforeChange(): Steps<void> {
    return wait(undefined);
  }

  /** Why a stretch is `special`. */
  protected get why(): 'compressed' | 'encrypted' {
    return 'compressed';
  }

  locate(offset: number, length: number, out: ExtentSlot): Maybe<void> {
    const index = Math.floor(offset / this.clusterSize);
    return andThen(this.lookup(index), (state) => this.#answer(state, index, offset, length, out));
  }

  write(offset: number, source: Uint8Array): Maybe<void> {
    return run(this.#write(offset, source));
  }

  writeZeroes(offset: number, length: number, _unmap: boolean): Maybe<void> {
    return run(this.#zero(offset, length));
  }

  /** Gives the stored bytes of whole clusters back; they then read as zeroes. */
  discard(offset: number, length: number): Maybe<void> {
    return run(this.#discard(offset, length));
  }

  /** What lies behind the disk's end in its last cluster becomes zero: a larger disk brings it to light. */
  *clearTail(): Steps<void> {
    const used = this.virtualSize % this.clusterSize;
    if (used === 0) return;
    const state = yield* wait(this.lookup(Math.floor(this.virtualSize / this.clusterSize)));
    if (state.kind !== 'data') return;
    yield* wait(this.storage.writeZeroes((state.hostOffset as number) + used, this.clusterSize - used));
  }

  flush(): Maybe<void> {
    return this.storage.flush();
  }

  close(): Maybe<void> {
    return this.storage.close();
  }

  #answer(state: ClusterState, index: number, offset: number, length: number, out: ExtentSlot): void {
    const inCluster = offset - index * this.clusterSize;
    let have = Math.min(length, this.clusterSize - inCluster);
    const host = state.hostOffset;
    if (state.kind === 'special') {
      out.special(have, this.storage, host as number, this.why);
      return;
    }
    for (let next = index + 1; have < length && next < index + RUN_CLUSTERS; next++) {
      const following = this.lookup(next);
      if (isPromise(following)) {
        // Not in the cache: the next call will ask for it, and report its failure.
        following.catch(() => undefined);
        break;
      }
      const expected = host === undefined ? undefined : host + inCluster + have;
      if (following.kind !== state.kind || following.hostOffset !== expected) break;
      have = Math.min(length, have + this.clusterSize);
    }
    if (state.kind === 'unallocated') out.unallocated(have);
    else if (host === undefined) out.zero(have);
    else if (state.kind === 'zero') out.zero(have, this.storage, host + inCluster);
    else out.data(have, this.storage, host + inCluster, this.overwritable);
  }

  *#write(offset: number, source: Uint8Array): Steps<void> {
    yield* this.beforeChange();
    for (const piece of pieces(offset, source.length, this.clusterSize)) {
      yield* this.#writePiece(piece, source.subarray(piece.at, piece.at + piece.length));
    }
  }

  *#zero(offset: number, length: number): Steps<void> {
    yield* this.beforeChange();
    for (const piece of pieces(offset, length, this.clusterSize)) yield* this.#zeroPiece(piece);
  }

  *#discard(offset: number, length: number): Steps<void> {
    yield* this.beforeChange();
    for (const piece of pieces(offset, length, this.clusterSize)) {
      const state = yield* wait(this.lookup(piece.index));
      if (state.kind === 'data' && this.#whole(piece)) {
        yield* wait(this.storage.writeZeroes(state.hostOffset as number, piece.length));
      }
    }
  }

  *#writePiece(piece: Piece, source: Uint8Array): Steps<void> {
    const state = yield* wait(this.lookup(piece.index));
    if (state.kind === 'special') throw this.#compressed(piece.guest);
    if (state.kind === 'data') {
      yield* wait(this.storage.write((state.hostOffset as number) + piece.inCluster, source));
      return;
    }
    const host = state.hostOffset ?? (yield* this.allocate(piece.index));
    const fresh = yield* this.#reserve(host);
    const start = piece.index * this.clusterSize;
    const copy = state.kind === 'unallocated' && this.#backed(start);
    yield* this.#fill(host, start, 0, piece.inCluster, copy, fresh);
    yield* wait(this.storage.write(host + piece.inCluster, source));
    yield* this.#fill(host, start, piece.inCluster + piece.length, this.clusterSize, copy, fresh);
    yield* this.link(piece.index, host);
  }

  *#zeroPiece(piece: Piece): Steps<void> {
    const state = yield* wait(this.lookup(piece.index));
    if (state.kind === 'zero') return;
    if (state.kind === 'data') {
      yield* wait(this.storage.writeZeroes((state.hostOffset as number) + piece.inCluster, piece.length));
      return;
    }
    if (state.kind === 'unallocated' && !this.#backed(piece.guest)) return;
    if (state.kind === 'unallocated' && this.#whole(piece) && (yield* this.linkZero(piece.index))) return;
    yield* this.#writePiece(piece, new Uint8Array(piece.length));
  }

  /** Whether the piece covers its cluster as far as the disk goes. */
  #whole(piece: Piece): boolean {
    const end = Math.min(this.virtualSize, (piece.index + 1) * this.clusterSize);
    return piece.inCluster === 0 && piece.guest + piece.length === end;
  }

  #backed(offset: number): boolean {
    return this.backing !== undefined && offset < this.backing.virtualSize;
  }

  /** Makes room for a cluster at `host`; answers whether it is known to read as zeroes. */
  *#reserve(host: number): Steps<boolean> {
    const size = yield* wait(this.storage.size());
    if (host + this.clusterSize > size) yield* wait(this.storage.truncate(host + this.clusterSize));
    return host >= size;
  }

  *#fill(host: number, start: number, from: number, to: number, copy: boolean, fresh: boolean): Steps<void> {
    if (from >= to) return;
    if (!copy) {
      if (!fresh) yield* wait(this.storage.writeZeroes(host + from, to - from));
      return;
    }
    const buffer = new Uint8Array(Math.min(COPY_BYTES, to - from));
    for (let at = from; at < to; at += buffer.length) {
      const part = buffer.subarray(0, Math.min(buffer.length, to - at));
      yield* wait(readOrZero(this.backing, start + at, part));
      yield* wait(this.storage.write(host + at, part));
    }
  }

  #compressed(offset: number): PlatterError {
    const image = this.storage.name;
    return new PlatterError(
      'formats.compressed-write',
      `The bytes at ${offset} of "${image}" are stored compressed, and ${this.format} cannot overwrite them`,
      { image, offset, hint: 'Convert the image first.' },
    );
  }
}

/** A part of a request that lies within one cluster. Bytes. */
interface Piece {
  /** Offset in the caller's buffer. */
  at: number;
  /** Offset on the guest's disk. */
  guest: number;
  index: number;
  inCluster: number;
  length: number;
}

function* pieces(offset: number, length: number, clusterSize: number): Generator<Piece> {
  for (let at = 0; at < length;) {
    const guest = offset + at;
    const index = Math.floor(guest / clusterSize);
    const inCluster = guest - index * clusterSize;
    const part = Math.min(length - at, clusterSize - inCluster);
    yield { at, guest, index, inCluster, length: part };
    at += part;
  }
}

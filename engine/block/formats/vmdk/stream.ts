/**
 * A stream-optimised extent: grains are packed one after the other and never rewritten. Whoever writes it goes through the disk once;
 * the grain that is being filled waits in memory until it is left.
 */
import { deflateSync } from 'node:zlib';
import { PlatterError } from '../../../errors.ts';
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import { packZlib } from '../../compression/pack.ts';
import type { ClusterPacker, ExtentSlot } from '../../format.ts';
import { alignUp } from '../shared/check-fields.ts';
import { isZero } from '../../is-zero.ts';
import { SparseExtent } from './sparse.ts';

export class StreamExtent extends SparseExtent {
  #index = -1;
  #grain = new Uint8Array(0);

  override locate(offset: number, length: number, out: ExtentSlot): Maybe<void> {
    const start = this.#index * this.clusterSize;
    const end = start + this.clusterSize;
    if (this.#index < 0 || offset + length <= start || offset >= end)
      return super.locate(offset, length, out);
    if (offset < start) return super.locate(offset, start - offset, out);
    out.special(Math.min(length, end - offset), this.storage, -1, 'compressed');
  }

  override readSpecial(offset: number, target: Uint8Array): Maybe<void> {
    const inGrain = offset - this.#index * this.clusterSize;
    if (this.#index < 0 || inGrain < 0 || inGrain >= this.clusterSize)
      return super.readSpecial(offset, target);
    target.set(this.#grain.subarray(inGrain, inGrain + target.length));
  }

  override write(offset: number, source: Uint8Array): Maybe<void> {
    return run(this.#put(offset, source));
  }

  override writeZeroes(offset: number, length: number, _unmap: boolean): Maybe<void> {
    return run(this.#put(offset, new Uint8Array(length)));
  }

  override discard(): void {
    // What is in a stream stays there.
  }

  override flush(): Maybe<void> {
    return run(this.#finish());
  }

  /** For whoever goes through the disk from its start and packs several grains at a time. */
  get packer(): ClusterPacker {
    return {
      unit: this.clusterSize,
      always: true,
      pack: packZlib,
      put: (offset, packed) => run(this.#putPacked(offset / this.clusterSize, packed)),
    };
  }

  *#putPacked(index: number, packed: Uint8Array): Steps<void> {
    yield* this.beforeChange();
    yield* this.#pack();
    const state = yield* wait(this.lookup(index));
    if (state.kind === 'special') throw this.#written(index);
    yield* this.#append(index, packed);
  }

  *#finish(): Steps<void> {
    yield* this.#pack();
    const size = yield* wait(this.storage.size());
    if (size % 512 !== 0) yield* wait(this.storage.truncate(alignUp(size, 512)));
    yield* wait(this.storage.flush());
  }

  *#put(offset: number, source: Uint8Array): Steps<void> {
    yield* this.beforeChange();
    for (let done = 0; done < source.length;) {
      const index = Math.floor((offset + done) / this.clusterSize);
      const inGrain = offset + done - index * this.clusterSize;
      const part = source.subarray(done, done + this.clusterSize - inGrain);
      if (index !== this.#index) yield* this.#start(index, isZero(part));
      if (index === this.#index) this.#grain.set(part, inGrain);
      done += part.length;
    }
  }

  /** Makes `index` the grain that is being filled. Zeroes for a grain that is not there need none. */
  *#start(index: number, zeroes: boolean): Steps<void> {
    yield* this.#pack();
    const state = yield* wait(this.lookup(index));
    if (state.kind === 'unallocated' && zeroes && this.backing === undefined) return;
    if (state.kind === 'special') throw this.#written(index);
    this.#index = index;
    this.#grain = new Uint8Array(this.clusterSize);
    if (this.backing === undefined) return;
    const start = index * this.clusterSize;
    const there = Math.max(0, Math.min(this.clusterSize, this.backing.virtualSize - start));
    if (there > 0) yield* wait(this.backing.read(start, this.#grain.subarray(0, there)));
  }

  /** Appends the grain that was being filled: marker, zlib data, padding to the next sector. */
  *#pack(): Steps<void> {
    if (this.#index < 0) return;
    const index = this.#index;
    this.#index = -1;
    const length = Math.min(this.clusterSize, this.virtualSize - index * this.clusterSize);
    yield* this.#append(index, deflateSync(this.#grain.subarray(0, length)));
  }

  *#append(index: number, packed: Uint8Array): Steps<void> {
    const bytes = new Uint8Array(alignUp(12 + packed.length, 512));
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, BigInt((index * this.clusterSize) / 512), true);
    view.setUint32(8, packed.length, true);
    bytes.set(packed, 12);
    const end = alignUp(yield* wait(this.storage.size()), 512);
    yield* wait(this.storage.write(end, bytes));
    yield* this.setEntry(index, end / 512);
  }

  #written(index: number): PlatterError {
    const image = this.storage.name;
    const offset = index * this.clusterSize;
    return new PlatterError(
      'formats.compressed-write',
      `The bytes at ${offset} of "${image}" are stored compressed, and a stream cannot be rewritten`,
      {
        image,
        offset,
        hint: 'Convert the image first.',
      },
    );
  }
}

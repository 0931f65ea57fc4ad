/** Reading compressed clusters: one at a time, the output capped at one cluster whatever the input says. */
import { PlatterError } from '../../../errors.ts';
import { andThen, run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import { inflateCluster, inflateClusterLater } from '../../compression/deflate.ts';
import { unzstdCluster, unzstdClusterLater } from '../../compression/zstd.ts';
import { compressedPlace } from './entry.ts';
import { corruptEntry } from './errors.ts';
import type { Qcow2State } from './state.ts';

/** Reads guest bytes that lie in one compressed cluster. The last cluster read is kept: small reads come in groups. */
export class CompressedReader {
  readonly #state: Qcow2State;
  #keptEntry = '';
  #kept: Uint8Array | undefined;

  constructor(state: Qcow2State) {
    this.#state = state;
  }

  read(offset: number, target: Uint8Array): Maybe<void> {
    return run(this.#read(offset, target));
  }

  /** The same, unpacking in another thread; the cluster is not kept. */
  async readLater(offset: number, target: Uint8Array): Promise<void> {
    const state = this.#state;
    const table = state.l2Offset(Math.floor(offset / state.l2Coverage));
    const slice = await state.mapping.get(state.sliceOffset(table, offset));
    const at = state.entryInSlice(offset);
    const place = {
      high: slice.view.getUint32(at),
      low: slice.view.getUint32(at + 4),
      at: slice.offset + at,
    };
    const whole = target.length === state.clusterSize && target.buffer instanceof SharedArrayBuffer;
    const cluster = await readPacked(state, place.high, place.low, place.at, (packed, at) =>
      unpackLater(state, packed, at, whole ? target : undefined),
    );
    if (cluster === target) return;
    const within = offset % state.clusterSize;
    target.set(cluster.subarray(within, within + target.length));
  }

  /** The cluster that guest `offset` lies in changed. */
  forget(): void {
    this.#kept = undefined;
  }

  *#read(offset: number, target: Uint8Array): Steps<void> {
    const state = this.#state;
    const table = state.l2Offset(Math.floor(offset / state.l2Coverage));
    const slice = yield* wait(state.mapping.get(state.sliceOffset(table, offset)));
    const at = state.entryInSlice(offset);
    const high = slice.view.getUint32(at);
    const low = slice.view.getUint32(at + 4);
    const key = `${high}:${low}`;
    let cluster = this.#keptEntry === key ? this.#kept : undefined;
    if (cluster === undefined) {
      cluster = yield* wait(inflateEntry(state, high, low, slice.offset + at));
      this.#keptEntry = key;
      this.#kept = cluster;
    }
    const within = offset % state.clusterSize;
    target.set(cluster.subarray(within, within + target.length));
  }
}

/** The contents of the cluster that a compressed entry describes. `entryOffset` is the entry's byte in the file. */
export function inflateEntry(
  state: Qcow2State,
  high: number,
  low: number,
  entryOffset: number,
): Maybe<Uint8Array> {
  return readPacked(state, high, low, entryOffset, (packed, offset) => inflate(state, packed, offset));
}

function readPacked(
  state: Qcow2State,
  high: number,
  low: number,
  entryOffset: number,
  unpack: (packed: Uint8Array<ArrayBuffer>, offset: number) => Maybe<Uint8Array>,
): Maybe<Uint8Array> {
  const place = compressedPlace(high, low, state.header.clusterBits);
  return andThen(state.storage.size(), (size) => {
    if (place.offset >= size) {
      throw corruptEntry(
        state.image,
        'L2',
        entryOffset,
        `points to a compressed cluster at ${place.offset}, past the end of the file at ${size}`,
      );
    }
    // The last sector of the file need not be there in full.
    const packed = new Uint8Array(Math.min(place.length, size - place.offset));
    return andThen(state.storage.read(place.offset, packed), () => unpack(packed, place.offset));
  });
}

function inflate(state: Qcow2State, packed: Uint8Array, offset: number): Uint8Array {
  const zstd = state.header.compressionType === 1;
  try {
    return zstd ? unzstdCluster(packed, state.clusterSize) : inflateCluster(packed, state.clusterSize);
  } catch (error) {
    throw badCluster(state, zstd, offset, error);
  }
}

async function unpackLater(
  state: Qcow2State,
  packed: Uint8Array<ArrayBuffer>,
  offset: number,
  target: Uint8Array | undefined,
): Promise<Uint8Array> {
  const zstd = state.header.compressionType === 1;
  try {
    return await (zstd ? unzstdClusterLater : inflateClusterLater)(packed, state.clusterSize, target);
  } catch (error) {
    throw badCluster(state, zstd, offset, error);
  }
}

function badCluster(state: Qcow2State, zstd: boolean, offset: number, error: unknown): PlatterError {
  const why = error instanceof Error ? error.message : String(error);
  return new PlatterError(
    'qcow2.bad-compressed-cluster',
    `The compressed cluster at byte ${offset} of "${state.image}" cannot be unpacked: ${why}`,
    { image: state.image, field: zstd ? 'zstd data' : 'zlib data', offset, value: why },
    error,
  );
}

/** Copy on write: the rest of a new cluster gets what the guest saw there before. */
import { isZero } from '../../is-zero.ts';
import { wait, type Steps } from '../../../maybe.ts';
import type { Qcow2State } from './state.ts';

/** Bytes copied at a time. */
const PIECE = 1 << 20;

/**
 * Fills a newly placed stretch of `runBytes` (whole clusters) around the `length` bytes at guest `offset` that the caller writes.
 * `host` is where guest `offset` goes.
 */
export function* copyAround(
  state: Qcow2State,
  offset: number,
  length: number,
  host: number,
  runBytes: number,
): Steps<void> {
  const before = offset % state.clusterSize;
  const after = runBytes - before - length;
  const size = yield* wait(state.dataStorage.size());
  if (before > 0) yield* copyGuest(state, offset - before, before, host - before, size);
  if (after > 0) yield* copyGuest(state, offset + length, after, host + length, size);
}

/** Copies guest bytes to `host`. Past the end of the file (`size`) zeroes are there already, unless the file is not ours alone. */
export function* copyGuest(
  state: Qcow2State,
  offset: number,
  length: number,
  host: number,
  size: number,
): Steps<void> {
  for (let done = 0; done < length;) {
    const count = Math.min(PIECE, length - done);
    // What reads as zeroes in the file decrypts to noise.
    const fresh = host + done >= size && state.encryption === undefined;
    if (!(yield* wait(state.readsAsZero(offset + done, count)))) {
      const piece = new Uint8Array(count);
      yield* wait(state.readGuest(offset + done, piece));
      if (!fresh || !isZero(piece)) yield* wait(state.dataStorage.write(host + done, piece));
    } else if (!fresh) {
      yield* wait(state.dataStorage.writeZeroes(host + done, count));
    }
    done += count;
  }
}

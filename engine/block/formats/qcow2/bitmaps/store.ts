/** Putting a changed list of bitmaps into the image: a new directory first, then the header that points to it. */
import { wait, type Steps } from '../../../../maybe.ts';
import { allocate } from '../allocation.ts';
import { AUTOCLEAR } from '../constants.ts';
import { rewriteHeader } from '../header-rewrite.ts';
import type { Qcow2State } from '../state.ts';
import { encodeDirectory, type BitmapRecord } from './directory.ts';

/**
 * Makes `records` the image's bitmaps. Their tables are in the file already; `freed` is what nothing points to after it.
 * At every moment the header points to a complete directory.
 */
export function* replaceBitmaps(
  state: Qcow2State,
  records: BitmapRecord[],
  freed: readonly [number, number][],
): Steps<void> {
  const old = state.extensions.bitmaps;
  const { header, clusterSize } = state;
  const length = encodeDirectory(records, 0).length;
  let directoryOffset = 0;
  if (length > 0) {
    const padded = new Uint8Array(Math.ceil(length / clusterSize) * clusterSize);
    directoryOffset = yield* allocate(state, padded.length / clusterSize);
    padded.set(encodeDirectory(records, directoryOffset));
    yield* wait(state.storage.write(directoryOffset, padded));
  }
  // New clusters are counted before anything points to them.
  yield* wait(state.writeBack());
  header.autoclear =
    length > 0 ? header.autoclear | AUTOCLEAR.bitmaps : header.autoclear & ~AUTOCLEAR.bitmaps;
  const extension = { count: records.length, directorySize: length, directoryOffset };
  yield* rewriteHeader(state, { bitmaps: length > 0 ? extension : null });
  state.bitmaps = records;
  state.pendingFrees.push(...freed);
  if (old !== undefined && old.directorySize > 0)
    state.pendingFrees.push([old.directoryOffset, old.directorySize]);
  yield* wait(state.writeBack());
}

/** Changing L2 entries in their slice. The caller marks the slice dirty. */
import type { Slice } from './cache.ts';
import { COPIED_HIGH } from './constants.ts';
import { clusterKind, compressedPlace, hostOffset } from './entry.ts';
import type { Qcow2State } from './state.ts';

/** What an entry pointed to is freed once nothing on disk points there. */
export function releaseEntry(state: Qcow2State, slice: Slice, at: number): void {
  if (state.externalData) return;
  const high = slice.view.getUint32(at);
  const low = slice.view.getUint32(at + 4);
  const kind = clusterKind(high, low);
  if (kind === 'compressed') {
    // The cluster that was being filled may become free, and somebody else's.
    state.packedEnd = 0;
    const place = compressedPlace(high, low, state.header.clusterBits);
    state.pendingFrees.push([place.offset, place.length]);
  } else {
    // With extended entries bit 0 is no flag; the offset alone tells.
    const host = hostOffset(high, low);
    if (host !== 0) state.pendingFrees.push([host, state.clusterSize]);
  }
}

/** An entry for a cluster of one's own. Data in an external file is always one's own. */
export function setEntry(slice: Slice, at: number, host: number): void {
  slice.view.setUint32(at, (Math.floor(host / 2 ** 32) | COPIED_HIGH) >>> 0);
  slice.view.setUint32(at + 4, host % 2 ** 32);
}

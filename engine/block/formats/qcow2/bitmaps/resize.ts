/** Bitmaps of a disk whose size changes: marked as in use across the change, so that no bitmap is ever taken for one of another size. */
import { wait, type Steps } from '../../../../maybe.ts';
import type { Qcow2State } from '../state.ts';
import { bitmapBytes, bitmapClusters, loadBits, storeBits } from './contents.ts';
import { replaceBitmaps } from './store.ts';
import { writeFlags } from './tracker.ts';

/** Runs `change`, which sets `state.header.size`; every sound bitmap then covers the new disk, new granules clear. */
export function* withBitmapsResized(state: Qcow2State, change: () => Steps<void>): Steps<void> {
  yield* state.tracker.finish();
  const kept = [];
  for (const record of state.bitmaps ?? []) {
    if (record.inUse) continue;
    const bits = yield* loadBits(state, record);
    kept.push({ record, bits, freed: yield* bitmapClusters(state, record) });
  }
  for (const { record } of kept) {
    record.inUse = true;
    yield* writeFlags(state, record);
  }
  if (kept.length > 0) yield* wait(state.storage.flush());
  const oldSize = state.virtualSize;
  yield* change();
  if (kept.length === 0) return;
  for (const { record, bits } of kept) {
    const resized = new Uint8Array(bitmapBytes(state.virtualSize, record.granularityBits));
    resized.set(bits.subarray(0, resized.length));
    clearPast(resized, Math.ceil(Math.min(oldSize, state.virtualSize) / 2 ** record.granularityBits));
    yield* storeBits(state, record, resized);
    record.inUse = false;
  }
  yield* replaceBitmaps(
    state,
    state.bitmaps ?? [],
    kept.flatMap(({ freed }) => freed),
  );
}

/** Clears the bits from `count` on. */
function clearPast(bits: Uint8Array, count: number): void {
  const byte = count >>> 3;
  if (byte >= bits.length) return;
  bits[byte] &= (1 << (count & 7)) - 1;
  bits.fill(0, byte + 1);
}

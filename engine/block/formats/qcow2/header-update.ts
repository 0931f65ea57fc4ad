/** Changing the header in place: each update is one small write within the first sector, so that it happens whole or not at all. */
import { StructWriter } from '../../../bytes/writer.ts';
import type { PlatterError } from '../../../errors.ts';
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import { INCOMPATIBLE } from './constants.ts';
import type { Qcow2State } from './state.ts';

const STRUCTURE = { structure: 'qcow2 header' };

/** Writes the three feature fields as they stand in `state.header`, and makes them stable. Version 2 has none. */
export function* writeFeatures(state: Qcow2State): Steps<void> {
  if (state.header.version < 3) return;
  const writer = new StructWriter(24, STRUCTURE);
  writer.u64raw(0, state.header.incompatible);
  writer.u64raw(8, state.header.compatible);
  writer.u64raw(16, state.header.autoclear);
  yield* wait(state.storage.write(72, writer.bytes));
  yield* wait(state.storage.flush());
}

/** Takes back every autoclear feature but `kept`: whoever does not know one, or cannot keep it true, says so before it writes. */
export function* clearAutoclear(state: Qcow2State, kept: bigint): Steps<void> {
  const { header } = state;
  if ((header.autoclear & ~kept) === 0n) return;
  header.autoclear &= kept;
  yield* writeFeatures(state);
}

/**
 * The disk's size and the active L1 table (entries and place) in one write of 24 bytes: the guest's disk is switched from one
 * state to another at once. What the new table leads to is on stable storage before.
 */
export function* writeDisk(
  state: Qcow2State,
  disk: { size: number; l1Size: number; l1TableOffset: number },
): Steps<void> {
  const writer = new StructWriter(24, STRUCTURE);
  writer.u64(0, disk.size, 'size');
  writer.u32(8, state.header.cryptMethod, 'crypt_method');
  writer.u32(12, disk.l1Size, 'l1_size');
  writer.u64(16, disk.l1TableOffset, 'l1_table_offset');
  yield* wait(state.storage.flush());
  yield* wait(state.storage.write(24, writer.bytes));
  yield* wait(state.storage.flush());
  Object.assign(state.header, disk);
}

/** The number and place of the snapshot table's records, in one write of 12 bytes. */
export function* writeSnapshotPlace(state: Qcow2State, count: number, offset: number): Steps<void> {
  const writer = new StructWriter(12, STRUCTURE);
  writer.u32(0, count, 'nb_snapshots');
  writer.u64(4, offset, 'snapshots_offset');
  yield* wait(state.storage.flush());
  yield* wait(state.storage.write(60, writer.bytes));
  yield* wait(state.storage.flush());
  state.header.snapshotCount = count;
  state.header.snapshotsOffset = offset;
}

/** While it is set, copied flags and counts may disagree; whoever opens the image for writing puts them right. Version 2 has no such bit. */
export function* writeDirtyBit(state: Qcow2State, dirty: boolean): Steps<void> {
  if (state.header.version < 3) return;
  yield* wait(state.storage.flush());
  if (dirty) state.header.incompatible |= INCOMPATIBLE.dirty;
  else state.header.incompatible &= ~INCOMPATIBLE.dirty;
  yield* writeFeatures(state);
}

/** Points the header to a new refcount table. */
export function* writeRefcountTablePlace(state: Qcow2State, offset: number, clusters: number): Steps<void> {
  const writer = new StructWriter(12, STRUCTURE);
  writer.u64(0, offset, 'refcount_table_offset');
  writer.u32(8, clusters, 'refcount_table_clusters');
  yield* wait(state.storage.write(48, writer.bytes));
  yield* wait(state.storage.flush());
  state.header.refcountTableOffset = offset;
  state.header.refcountTableClusters = clusters;
}

/** Sets the corrupt bit (version 3) and lets this image take no more writes. */
export function markCorrupt(state: Qcow2State, error: PlatterError): Maybe<void> {
  state.broken = error;
  state.header.incompatible |= INCOMPATIBLE.corrupt;
  return run(writeFeatures(state));
}

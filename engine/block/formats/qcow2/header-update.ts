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

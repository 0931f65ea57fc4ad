/** Writing the snapshot table: always to a new place, then the header points there (specification, "Snapshots"). */
import { StructWriter } from '../../../bytes/writer.ts';
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import { allocate } from './allocation.ts';
import { MAX_SNAPSHOT_TABLE_BYTES } from './constants.ts';
import { writeSnapshotPlace } from './header-update.ts';
import type { SnapshotRecord } from './snapshots.ts';
import type { Qcow2State } from './state.ts';

const FIXED = 40;

/** Makes `records` the image's snapshots. At every moment the header points to a complete table. */
export function* replaceSnapshots(state: Qcow2State, records: SnapshotRecord[]): Steps<void> {
  const { header, clusterSize } = state;
  const last = state.snapshots.at(-1);
  const oldOffset = header.snapshotsOffset;
  const oldLength = last === undefined ? 0 : last.offset + last.length - oldOffset;
  const length = encode(records, 0).length;
  if (length > MAX_SNAPSHOT_TABLE_BYTES) {
    throw new PlatterError('snapshot.too-many', `"${state.image}" has no room for another snapshot`, {
      image: state.image,
      field: 'snapshot table',
      value: `${length} bytes`,
      expected: `at most ${MAX_SNAPSHOT_TABLE_BYTES} bytes`,
    });
  }
  let offset = 0;
  if (length > 0) {
    const padded = new Uint8Array(Math.ceil(length / clusterSize) * clusterSize);
    offset = yield* allocate(state, padded.length / clusterSize);
    padded.set(encode(records, offset));
    yield* wait(state.storage.write(offset, padded));
  }
  yield* wait(state.writeBack());
  yield* writeSnapshotPlace(state, records.length, offset);
  state.snapshots = records;
  state.metadata?.refreshRanges();
  if (oldLength > 0) state.pendingFrees.push([oldOffset, oldLength]);
}

function encode(records: readonly SnapshotRecord[], base: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = base;
  for (const record of records) {
    const id = new TextEncoder().encode(record.id);
    const name = new TextEncoder().encode(record.name);
    const bytes = FIXED + record.extra.length + id.length + name.length;
    record.length = Math.ceil(bytes / 8) * 8;
    record.offset = at;
    at += record.length;
    const writer = new StructWriter(record.length, { structure: 'snapshot table' });
    writer.u64(0, record.l1TableOffset, 'l1_table_offset');
    writer.u32(8, record.l1Size, 'l1_size');
    writer.u16(12, id.length, 'id_str_size');
    writer.u16(14, name.length, 'name_size');
    writer.u32(16, record.dateSec, 'date_sec');
    writer.u32(20, record.dateNsec, 'date_nsec');
    writer.u64raw(24, BigInt(record.vmClockNsec));
    // The 32-bit size is that of programs which know no larger one.
    writer.u32(32, record.vmStateSize <= 0xffff_ffff ? record.vmStateSize : 0, 'vm_state_size');
    writer.u32(36, record.extra.length, 'extra_data_size');
    writer.put(FIXED, record.extra);
    writer.put(FIXED + record.extra.length, id);
    writer.put(FIXED + record.extra.length + id.length, name);
    parts.push(writer.bytes);
  }
  const table = new Uint8Array(at - base);
  for (let index = 0, to = 0; index < parts.length; to += parts[index].length, index++)
    table.set(parts[index], to);
  return table;
}

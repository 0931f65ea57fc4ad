/** The snapshot table (specification, "Snapshots"): what internal snapshots there are and where their L1 tables lie. */
import { StructReader } from '../../../bytes/reader.ts';
import { PlatterError } from '../../../errors.ts';
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { Storage } from '../../storage/storage.ts';
import { MAX_L1_BYTES, MAX_SNAPSHOT_TABLE_BYTES, TABLE_ENTRY } from './constants.ts';
import { truncated } from './errors.ts';
import type { Qcow2Header } from './header.ts';

export interface SnapshotRecord {
  /** Byte of the record in the file. */
  offset: number;
  /** Bytes of the record, padding included. */
  length: number;
  l1TableOffset: number;
  /** Entries. */
  l1Size: number;
  id: string;
  name: string;
  dateSec: number;
  dateNsec: number;
  vmClockNsec: number;
  vmStateSize: number;
  /** The disk's size when it was taken, bytes; undefined in records too old to say. */
  diskSize?: number;
  /** Extra data past what is known here: kept when the table is written anew. */
  extra: Uint8Array;
}

const FIXED = 40;
/** Longest record QEMU accepts: 1024 bytes of extra data, two names of at most 65535 bytes. */
const MAX_EXTRA = 1024;

/** Reads the table record by record; nothing is allocated on the word of a count. */
export function readSnapshots(storage: Storage, header: Qcow2Header): Maybe<SnapshotRecord[]> {
  return run(readSteps(storage, header));
}

function* readSteps(storage: Storage, header: Qcow2Header): Steps<SnapshotRecord[]> {
  const records: SnapshotRecord[] = [];
  const fileSize = yield* wait(storage.size());
  let at = header.snapshotsOffset;
  for (let index = 0; index < header.snapshotCount; index++) {
    if (at + FIXED > fileSize) throw truncated('snapshot table', at, at + FIXED, fileSize);
    const fixed = new Uint8Array(FIXED);
    yield* wait(storage.read(at, fixed));
    const record = yield* readRecord(storage, at, fixed, fileSize);
    records.push(record);
    at += record.length;
    if (at - header.snapshotsOffset > MAX_SNAPSHOT_TABLE_BYTES) {
      throw badSnapshot('snapshot table', at, `more than ${MAX_SNAPSHOT_TABLE_BYTES} bytes`);
    }
  }
  return records;
}

function* readRecord(
  storage: Storage,
  at: number,
  fixed: Uint8Array,
  fileSize: number,
): Steps<SnapshotRecord> {
  const head = new StructReader(fixed, { structure: 'snapshot table', base: at });
  const l1Size = head.u32(8, 'l1_size');
  const l1TableOffset = head.u64(0, 'l1_table_offset');
  const idLength = head.u16(12, 'id_str_size');
  const nameLength = head.u16(14, 'name_size');
  const extraLength = head.u32(36, 'extra_data_size');
  if (extraLength > MAX_EXTRA) throw badSnapshot('extra_data_size', at + 36, `${extraLength}`);
  if (l1Size * TABLE_ENTRY > MAX_L1_BYTES) throw badSnapshot('l1_size', at + 8, `${l1Size}`);
  const rest = extraLength + idLength + nameLength;
  if (at + FIXED + rest > fileSize) throw truncated('snapshot table', at, at + FIXED + rest, fileSize);
  const tail = new Uint8Array(rest);
  yield* wait(storage.read(at + FIXED, tail));
  const body = new StructReader(tail, { structure: 'snapshot table', base: at + FIXED });
  const size64 = extraLength >= 8 ? body.u64(0, 'vm_state_size_large') : 0;
  return {
    offset: at,
    length: Math.ceil((FIXED + rest) / 8) * 8,
    l1TableOffset,
    l1Size,
    id: body.text(extraLength, idLength, 'id_str'),
    name: body.text(extraLength + idLength, nameLength, 'name'),
    dateSec: head.u32(16, 'date_sec'),
    dateNsec: head.u32(20, 'date_nsec'),
    vmClockNsec: Number(head.u64raw(24, 'vm_clock_nsec')),
    vmStateSize: extraLength >= 8 ? size64 : head.u32(32, 'vm_state_size'),
    diskSize: extraLength >= 16 ? body.u64(8, 'disk_size') : undefined,
    extra: body.bytes(0, extraLength, 'extra data').slice(),
  };
}

function badSnapshot(field: string, offset: number, value: string): PlatterError {
  return new PlatterError(
    'qcow2.bad-snapshot',
    `The snapshot table's ${field} at byte ${offset} is ${value}, more than any sound image has`,
    { field, offset, value },
  );
}

/** Entries of a fixed width as fields, read a page at a time and no further than the file goes. */
import type { StructureField } from '../../../contract/structure.ts';
import { run, wait, type Steps } from '../../maybe.ts';
import type { Storage } from '../storage/storage.ts';
import type { FieldSource } from './node.ts';

/** What an entry says. */
export type ShownEntry = Pick<StructureField, 'value' | 'say' | 'links'>;

export interface EntryTable {
  storage: Storage;
  /** Bytes in the file. */
  offset: number;
  count: number;
  /** Bytes; for entries narrower than a byte a part of it (0.125, 0.25, 0.5). */
  entryBytes: number;
  /** `view` begins with the entry; for sub-byte entries with its byte. */
  show(view: DataView, index: number): ShownEntry;
}

/** The most bytes that one page may read. */
const MOST = 1 << 20;

export function entries(table: EntryTable): FieldSource {
  return { count: table.count, page: (start, limit) => run(page(table, start, limit)) };
}

function* page(table: EntryTable, start: number, limit: number): Steps<StructureField[]> {
  const { entryBytes, storage } = table;
  const count = Math.min(limit, table.count - start, Math.floor(MOST / Math.max(1, entryBytes)));
  if (count <= 0) return [];
  const first = table.offset + Math.floor(start * entryBytes);
  const end = table.offset + Math.ceil((start + count) * entryBytes);
  const bytes = yield* readInside(storage, first, end - first);
  const fields: StructureField[] = [];
  for (let index = start; index < start + count; index++) {
    const offset = table.offset + Math.floor(index * entryBytes);
    const length = Math.max(1, entryBytes);
    const name = String(index);
    if (offset + length > first + bytes.length) {
      fields.push({ name, offset, length, value: '', say: { key: 'past-end', params: {} } });
      continue;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset + offset - first, length);
    fields.push({ name, offset, length, ...table.show(view, index) });
  }
  return fields;
}

/** The bytes of a stretch that lie within the file. */
export function* readInside(storage: Storage, offset: number, length: number): Steps<Uint8Array> {
  const size = yield* wait(storage.size());
  const bytes = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
  if (bytes.length > 0) yield* wait(storage.read(offset, bytes));
  return bytes;
}

/** `0x1f0000`. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

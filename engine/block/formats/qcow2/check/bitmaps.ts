/** Clusters of persistent bitmaps (specification, "Bitmaps extension"): directory, tables and data. */
import { StructReader } from '../../../../bytes/reader.ts';
import type { Steps } from '../../../../maybe.ts';
import { AUTOCLEAR, OFFSET_HIGH, OFFSET_LOW, TABLE_ENTRY } from '../constants.ts';
import { addReferences, hex, readWhole, type CheckContext } from './tables.ts';

/** QEMU's BME_MAX_TABLE_SIZE, entries, and BME_MAX_PHYS_SIZE of a directory, bytes. */
const MAX_TABLE = 0x800_0000;
const MAX_DIRECTORY = 64 << 20;

export function* followBitmaps(context: CheckContext): Steps<void> {
  const { state, report } = context;
  const { bitmaps } = state.extensions;
  if (bitmaps === undefined || (state.header.autoclear & AUTOCLEAR.bitmaps) === 0n) return;
  const { directoryOffset, directorySize } = bitmaps;
  if (directorySize > MAX_DIRECTORY || directoryOffset + directorySize > context.fileSize) {
    report.corruption(`the bitmap directory at ${hex(directoryOffset)} does not lie within the file`);
    return;
  }
  addReferences(context, directoryOffset, directorySize);
  const directory = new Uint8Array(directorySize);
  if (!(yield* readWhole(context, directoryOffset, directory, 'bitmap directory'))) return;
  const reader = new StructReader(directory, { structure: 'bitmap directory', base: directoryOffset });
  for (let at = 0, index = 0; index < bitmaps.count && at + 24 <= directorySize; index++) {
    const tableOffset = reader.u64(at, 'bitmap_table_offset');
    const tableSize = reader.u32(at + 8, 'bitmap_table_size');
    yield* followTable(context, tableOffset, tableSize);
    const names = reader.u16(at + 18, 'name_size') + reader.u32(at + 20, 'extra_data_size');
    at += Math.ceil((24 + names) / 8) * 8;
  }
}

function* followTable(context: CheckContext, offset: number, entries: number): Steps<void> {
  const length = entries * TABLE_ENTRY;
  if (entries > MAX_TABLE || offset + length > context.fileSize) {
    context.report.corruption(`the bitmap table at ${hex(offset)} does not lie within the file`);
    return;
  }
  addReferences(context, offset, length);
  const table = new Uint8Array(length);
  if (!(yield* readWhole(context, offset, table, 'bitmap table'))) return;
  const view = new DataView(table.buffer);
  for (let at = 0; at < length; at += TABLE_ENTRY) {
    const cluster =
      (view.getUint32(at) & OFFSET_HIGH) * 2 ** 32 + ((view.getUint32(at + 4) & OFFSET_LOW) >>> 0);
    if (cluster !== 0) addReferences(context, cluster, context.state.clusterSize);
  }
}

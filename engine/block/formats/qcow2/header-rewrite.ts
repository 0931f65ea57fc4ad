/** Writing the first cluster anew: header, extensions and the backing file's name, in one write. */
import { StructWriter } from '../../../bytes/writer.ts';
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import { EXTENSION, HEADER_V2_LENGTH, HEADER_V3_LENGTH } from './constants.ts';
import { parseExtensions, type BitmapsExtension } from './extensions.ts';
import { flushStorages } from './order.ts';
import type { Qcow2State } from './state.ts';

export interface HeaderChanges {
  /** `null` takes it out; undefined leaves it. */
  backingName?: string | null;
  backingFormat?: string | null;
  bitmaps?: BitmapsExtension | null;
  /** The external data file's name. */
  dataFile?: string;
}

interface Record {
  type: number;
  data: Uint8Array;
}

/**
 * Everything in the first cluster as `state.header` and the changes say; what is written before it is made stable first.
 * Throws `qcow2.no-header-room`.
 */
export function* rewriteHeader(state: Qcow2State, changes: HeaderChanges): Steps<void> {
  const { header, clusterSize } = state;
  const old = new Uint8Array(clusterSize);
  const fileSize = yield* wait(state.storage.size());
  yield* wait(state.storage.read(0, old.subarray(0, Math.min(clusterSize, fileSize))));
  const name = changes.backingName === undefined ? (state.backingName ?? null) : changes.backingName;
  let records = changedRecords(state, changes);
  let cluster = layOut(state, old, records, name);
  if (cluster === undefined) {
    // The names of features are a courtesy; they give way first.
    records = records.filter(({ type }) => type !== EXTENSION.featureNames);
    cluster = layOut(state, old, records, name);
  }
  if (cluster === undefined) {
    throw new PlatterError(
      'qcow2.no-header-room',
      `The header of "${state.image}" does not fit into its first cluster of ${clusterSize} bytes`,
      { image: state.image, field: 'backing file name', hint: 'Give a shorter name.' },
    );
  }
  yield* flushStorages(state);
  yield* wait(state.storage.write(0, cluster));
  yield* wait(state.storage.flush());
  state.backingName = name ?? undefined;
  Object.assign(state.extensions, { backingFormat: undefined, bitmaps: undefined, dataFile: undefined });
  Object.assign(state.extensions, parseExtensions(cluster, header));
  state.metadata?.refreshRanges();
}

function changedRecords(state: Qcow2State, changes: HeaderChanges): Record[] {
  const { backingFormat, bitmaps, dataFile } = changes;
  const records: Record[] = state.extensions.all.filter(
    ({ type }) =>
      !(type === EXTENSION.dataFile && dataFile !== undefined) &&
      // Version 2 has no features to name.
      !(type === EXTENSION.featureNames && state.header.version === 2) &&
      !(type === EXTENSION.backingFormat && backingFormat !== undefined) &&
      !(type === EXTENSION.bitmaps && bitmaps !== undefined),
  );
  if (typeof backingFormat === 'string') {
    records.unshift({ type: EXTENSION.backingFormat, data: new TextEncoder().encode(backingFormat) });
  }
  if (dataFile !== undefined)
    records.push({ type: EXTENSION.dataFile, data: new TextEncoder().encode(dataFile) });
  if (bitmaps !== undefined && bitmaps !== null) {
    const writer = new StructWriter(24, { structure: 'bitmaps extension' });
    writer.u32(0, bitmaps.count, 'nb_bitmaps');
    writer.u64(8, bitmaps.directorySize, 'bitmap_directory_size');
    writer.u64(16, bitmaps.directoryOffset, 'bitmap_directory_offset');
    records.push({ type: EXTENSION.bitmaps, data: writer.bytes });
  }
  return records;
}

/** Undefined when it does not fit. `state.header` gets the new places. */
function layOut(
  state: Qcow2State,
  old: Uint8Array,
  records: Record[],
  name: string | null,
): Uint8Array | undefined {
  const { header, clusterSize } = state;
  const nameBytes = new TextEncoder().encode(name ?? '');
  const headerLength =
    header.version === 2 ? HEADER_V2_LENGTH : Math.max(header.headerLength, HEADER_V3_LENGTH);
  const length = records.reduce(
    (sum, { data }) => sum + 8 + Math.ceil(data.length / 8) * 8,
    headerLength + 8,
  );
  if (length + nameBytes.length > clusterSize) return undefined;
  header.headerLength = headerLength;
  header.backingFileOffset = nameBytes.length === 0 ? 0 : length;
  header.backingFileSize = nameBytes.length;
  const writer = new StructWriter(clusterSize, { structure: 'qcow2 header' });
  writer.put(0, old.subarray(0, Math.min(headerLength, header.version === 2 ? 72 : headerLength)));
  writer.u32(4, header.version, 'version');
  writer.u64(8, header.backingFileOffset, 'backing_file_offset');
  writer.u32(16, header.backingFileSize, 'backing_file_size');
  writer.u64(48, header.refcountTableOffset, 'refcount_table_offset');
  writer.u32(56, header.refcountTableClusters, 'refcount_table_clusters');
  if (header.version >= 3) {
    writer.u64raw(72, header.incompatible);
    writer.u64raw(80, header.compatible);
    writer.u64raw(88, header.autoclear);
    writer.u32(96, header.refcountOrder, 'refcount_order');
    writer.u32(100, headerLength, 'header_length');
  }
  let at = headerLength;
  for (const { type, data } of records) {
    writer.u32(at, type, 'extension type');
    writer.u32(at + 4, data.length, 'extension length');
    writer.put(at + 8, data);
    at += 8 + Math.ceil(data.length / 8) * 8;
  }
  writer.put(at + 8, nameBytes);
  return writer.bytes;
}

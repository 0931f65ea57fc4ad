/** Opening a qcow2 image: header, extensions, tables; each is held against the file before it is read. */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import { prepareZstd } from '../../compression/zstd-library.ts';
import type { OpenContext } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { readDirectory, type BitmapRecord } from './bitmaps/directory.ts';
import { AUTOCLEAR, COMPRESSION_NAMES, INCOMPATIBLE, TABLE_ENTRY } from './constants.ts';
import { openEncryption } from './encryption.ts';
import { badField, truncated } from './errors.ts';
import { repairQcow2 } from './check/repair.ts';
import { parseExtensions } from './extensions.ts';
import { checkFeatures } from './features.ts';
import { hasDataFile, parseHeader, type Qcow2Header } from './header.ts';
import { clearAutoclear } from './header-update.ts';
import { MetadataMap } from './overlap.ts';
import { Refcounts } from './refcount.ts';
import { showSnapshot } from './show-snapshot.ts';
import { readSnapshots } from './snapshots.ts';
import { Qcow2State } from './state.ts';

const FIRST = 512;

export function* openState(storage: Storage, context: OpenContext): Steps<Qcow2State> {
  const fileSize = yield* wait(storage.size());
  const first = new Uint8Array(Math.min(FIRST, fileSize));
  yield* wait(storage.read(0, first));
  const header = parseHeader(first, context.repair);
  const cluster = new Uint8Array(Math.min(2 ** header.clusterBits, fileSize));
  yield* wait(storage.read(0, cluster));
  const extensions = parseExtensions(cluster, header);
  const readOnly = context.readOnly || storage.readOnly;
  checkFeatures(header, extensions, readOnly || context.repair === true);
  if (COMPRESSION_NAMES[header.compressionType] === 'zstd') yield* wait(prepareZstd());
  const l1 = yield* readTable(
    storage,
    'L1 table',
    header.l1TableOffset,
    header.l1Size * TABLE_ENTRY,
    context,
  );
  const snapshots = yield* wait(readSnapshots(storage, header));
  const state = new Qcow2State({
    storage,
    image: context.image,
    readOnly,
    header,
    extensions,
    l1,
    snapshots,
    limits: context.limits,
  });
  state.bitmaps = yield* readBitmaps(state);
  if (context.snapshot !== undefined) yield* showSnapshot(state, context.snapshot);
  yield* openDataFile(state, context);
  try {
    yield* openEncryption(state, context);
    yield* openBacking(state, cluster, context);
    if (!readOnly) yield* prepareWriting(state, context);
  } catch (error) {
    if (state.externalData) yield* wait(state.dataStorage.close());
    yield* wait(state.backing?.close());
    throw error;
  }
  return state;
}

/** A table that must be in memory as a whole; held against the limits and the file's end before memory is taken. */
export function* readTable(
  storage: Storage,
  what: string,
  offset: number,
  length: number,
  context: Pick<OpenContext, 'limits'>,
): Steps<Uint8Array> {
  if (length === 0) return new Uint8Array(0);
  if (length > context.limits.tableBytes) {
    throw new PlatterError('block.table-too-large', `The ${what} would take ${length} bytes of memory`, {
      field: what,
      offset,
      value: `${length} bytes`,
      expected: `at most ${context.limits.tableBytes} bytes`,
    });
  }
  const fileSize = yield* wait(storage.size());
  if (offset + length > fileSize) throw truncated(what, offset, offset + length, fileSize);
  const table = new Uint8Array(length);
  yield* wait(storage.read(offset, table));
  return table;
}

/** None while their autoclear bit is not set: somebody wrote without keeping them. Damage to them does not keep the disk closed. */
function* readBitmaps(state: Qcow2State): Steps<BitmapRecord[] | undefined> {
  const { bitmaps } = state.extensions;
  if (bitmaps === undefined || (state.header.autoclear & AUTOCLEAR.bitmaps) === 0n) return [];
  try {
    return yield* readDirectory(state.storage, bitmaps);
  } catch (error) {
    if (error instanceof PlatterError) return undefined;
    throw error;
  }
}

function* openDataFile(state: Qcow2State, context: OpenContext): Steps<void> {
  if (!hasDataFile(state.header)) return;
  const name = state.extensions.dataFile;
  if (name === undefined || name === '') {
    throw new PlatterError(
      'qcow2.no-data-file',
      'The image keeps its data in another file, but does not name it',
      {
        field: 'external data file name',
        hint: 'Give the file with data-file.filename=.',
      },
    );
  }
  state.useDataFile(yield* wait(context.openStorage(name, 'data-file')));
}

function* openBacking(state: Qcow2State, cluster: Uint8Array, context: OpenContext): Steps<void> {
  const name = backingName(state.header, cluster);
  state.backingName = name;
  if (context.backing === 'none' || (name === undefined && context.backing !== 'given')) return;
  const opened = yield* wait(context.openBacking(name ?? '', state.extensions.backingFormat));
  state.backing = opened.node;
  state.backingError = opened.error;
}

/** The backing file's name as it stands in the first cluster. */
export function backingName(header: Qcow2Header, cluster: Uint8Array): string | undefined {
  if (header.backingFileOffset === 0 || header.backingFileSize === 0) return undefined;
  const end = header.backingFileOffset + header.backingFileSize;
  if (end > cluster.length)
    throw truncated('backing file name', header.backingFileOffset, end, cluster.length);
  return new TextDecoder().decode(cluster.subarray(header.backingFileOffset, end));
}

/** What only a writer needs: the refcount table, the map of metadata, and features that a write must not leave behind. */
function* prepareWriting(state: Qcow2State, context: OpenContext): Steps<void> {
  const { header, storage, clusterSize } = state;
  if (header.l1TableOffset === 0) throw badField('l1_table_offset', 40, 0, 'past the header');
  const repair = context.repair === true;
  if (header.refcountTableOffset === 0 && !repair) {
    throw badField('refcount_table_offset', 48, 0, 'past the header');
  }
  let length = header.refcountTableClusters * clusterSize;
  // Whoever repairs builds the rest anew.
  if (repair)
    length = Math.min(length, Math.max(0, (yield* wait(storage.size())) - header.refcountTableOffset));
  length -= length % TABLE_ENTRY;
  const table = yield* readTable(storage, 'refcount table', header.refcountTableOffset, length, context);
  state.refcounts = new Refcounts(state, table);
  state.metadata = new MetadataMap(state, table);
  state.knownSize = yield* wait(storage.size());
  yield* clearAutoclear(state, AUTOCLEAR.bitmaps | AUTOCLEAR.dataFileRaw);
  if ((header.incompatible & INCOMPATIBLE.dirty) === 0n || repair) return;
  // Not closed properly: whoever writes puts the counts right first, as QEMU does.
  const { after } = yield* repairQcow2(state, 'all');
  if (after.corruptions + after.checkErrors > 0) {
    throw new PlatterError(
      'qcow2.dirty',
      `"${state.image}" was not closed properly, and ${after.corruptions + after.checkErrors} faults remain after its counts were rebuilt`,
      {
        field: 'incompatible_features',
        offset: 72,
        value: 'dirty bit',
        hint: 'Open it read-only and copy its contents to a new image.',
      },
    );
  }
}

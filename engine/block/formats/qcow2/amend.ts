/** Changing what a qcow2 image was made with: version, features, width of counts (QEMU: qcow2_amend_options). */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import { ExtentSlot } from '../../format.ts';
import { ZEROES } from '../../../bytes/zeroes.ts';
import { AUTOCLEAR, INCOMPATIBLE, LAZY_REFCOUNTS, TABLE_ENTRY } from './constants.ts';
import { clusterKind, hostOffset } from './entry.ts';
import { rewriteHeader } from './header-rewrite.ts';
import { writeFeatures } from './header-update.ts';
import { locate } from './mapping.ts';
import { changeRefcountOrder } from './refcount-order.ts';
import { readSnapshotL1 } from './show-snapshot.ts';
import { replaceSnapshots } from './snapshot-table.ts';
import type { SnapshotRecord } from './snapshots.ts';
import type { Qcow2State } from './state.ts';
import { writeGuest } from './write.ts';
import { discardGuest } from './zero.ts';

export interface Qcow2Amendment {
  version?: 2 | 3;
  lazyRefcounts?: boolean;
  refcountBits?: number;
  /** Another name for the external data file, which must be there already. */
  dataFile?: string;
  /** Only `false`: nobody can promise afterwards that a file is raw. */
  dataFileRaw?: boolean;
}

/** Each step leaves the image sound. Throws `amend.*`. */
export function* amendQcow2(state: Qcow2State, change: Qcow2Amendment): Steps<void> {
  if (state.broken !== undefined) throw state.broken;
  yield* state.tracker.finish();
  yield* wait(state.writeBack());
  const { header } = state;
  const version = change.version ?? header.version;
  const bits = change.refcountBits ?? 2 ** header.refcountOrder;
  checkAmendment(state, change, version, bits);
  if (version > header.version) yield* upgrade(state);
  if (bits !== 2 ** header.refcountOrder) yield* changeRefcountOrder(state, Math.log2(bits));
  if (change.dataFileRaw === false) header.autoclear &= ~AUTOCLEAR.dataFileRaw;
  if (change.dataFile !== undefined) yield* rewriteHeader(state, { dataFile: change.dataFile });
  if (change.lazyRefcounts === true) header.compatible |= LAZY_REFCOUNTS;
  if (change.lazyRefcounts === false) header.compatible &= ~LAZY_REFCOUNTS;
  yield* writeFeatures(state);
  if (version < header.version) yield* downgrade(state);
}

/** Throws `amend.impossible` for what does not go together with the `version` that the image is to have in the end. */
export function checkAmendment(
  state: Qcow2State,
  change: Qcow2Amendment,
  version: number,
  bits: number,
): void {
  if (version < 3 && bits !== 16)
    throw cannot(state, 'refcount_bits', `compat=0.10 has counts of 16 bits, not ${bits}`);
  if (version < 3 && change.lazyRefcounts === true)
    throw cannot(state, 'lazy_refcounts', 'compat=0.10 has no lazy reference counts');
  if (change.dataFile !== undefined && !state.externalData)
    throw cannot(state, 'data_file', 'it has no external data file that could be named otherwise');
  if (change.dataFileRaw === true && !state.rawExternalData)
    throw cannot(state, 'data_file_raw', 'whether its data file is raw cannot be promised afterwards');
}

function* upgrade(state: Qcow2State): Steps<void> {
  // Version 3 wants each snapshot to know its size and that of its machine state.
  if (state.snapshots.some(({ extra }) => extra.length < 16))
    yield* replaceSnapshots(
      state,
      state.snapshots.map((record) => withSizes(state, record)),
    );
  yield* wait(state.writeBack());
  state.header.version = 3;
  try {
    yield* rewriteHeader(state, {});
  } catch (error) {
    state.header.version = 2;
    throw error;
  }
}

function withSizes(state: Qcow2State, record: SnapshotRecord): SnapshotRecord {
  if (record.extra.length >= 16) return record;
  const extra = new Uint8Array(16);
  const view = new DataView(extra.buffer);
  const diskSize = record.diskSize ?? state.header.size;
  view.setBigUint64(0, BigInt(record.vmStateSize));
  view.setBigUint64(8, BigInt(diskSize));
  return { ...record, extra, diskSize };
}

function* downgrade(state: Qcow2State): Steps<void> {
  const { header } = state;
  if (state.externalData) throw cannot(state, 'compat', 'version 2 has no external data files');
  if (state.extendedL2) throw cannot(state, 'compat', 'version 2 has no extended L2 entries');
  if (header.snapshotCount > 0 && !state.snapshots.every((one) => fitsVersion2(state, one)))
    throw cannot(state, 'compat', 'a snapshot is of another size than the disk; delete it first');
  if ((state.bitmaps ?? []).length > 0)
    throw cannot(state, 'compat', 'version 2 has no persistent bitmaps; remove them first');
  const zstd = header.compressionType !== 0;
  for (const snapshot of state.snapshots) {
    const l1 = yield* readSnapshotL1(state, snapshot);
    if (yield* needsVersion3(state, l1, zstd))
      throw cannot(
        state,
        'compat',
        `snapshot "${snapshot.name}" holds what version 2 cannot; delete it first`,
      );
  }
  if (zstd && (yield* hasCompressed(state)))
    throw cannot(state, 'compat', 'version 2 has no zstd, and there are compressed clusters');
  yield* expandZeroes(state);
  yield* wait(state.writeBack());
  const before = { ...header };
  header.version = 2;
  header.compatible = 0n;
  header.autoclear = 0n;
  header.compressionType = 0;
  header.incompatible &= ~INCOMPATIBLE.compressionType;
  try {
    yield* rewriteHeader(state, {});
  } catch (error) {
    Object.assign(header, before);
    throw error;
  }
}

function fitsVersion2(state: Qcow2State, { diskSize, vmStateSize }: SnapshotRecord): boolean {
  return (diskSize ?? state.header.size) === state.header.size && vmStateSize <= 0xffff_ffff;
}

/** Whether a snapshot's tables hold zero clusters, or compressed ones where those count. */
function* needsVersion3(state: Qcow2State, l1: Uint8Array, compressedCounts: boolean): Steps<boolean> {
  let found = false;
  const table = new Uint8Array(state.clusterSize);
  const view = new DataView(l1.buffer, l1.byteOffset, l1.byteLength);
  for (let at = 0; at < l1.length && !found; at += TABLE_ENTRY) {
    const offset = hostOffset(view.getUint32(at), view.getUint32(at + 4));
    if (offset === 0) continue;
    yield* wait(state.storage.read(offset, table));
    const entries = new DataView(table.buffer);
    for (let entry = 0; entry < table.length && !found; entry += TABLE_ENTRY) {
      const kind = clusterKind(entries.getUint32(entry), entries.getUint32(entry + 4));
      found = kind === 'zero' || kind === 'zero-allocated' || (compressedCounts && kind === 'compressed');
    }
  }
  return found;
}

function* hasCompressed(state: Qcow2State): Steps<boolean> {
  const slot = new ExtentSlot();
  for (let at = 0; at < state.virtualSize; at += slot.length) {
    yield* wait(locate(state, at, state.virtualSize - at, slot));
    if (slot.compressed) return true;
  }
  return false;
}

/** Zero clusters become unallocated ones, or over a backing image clusters of zeroes. */
function* expandZeroes(state: Qcow2State): Steps<void> {
  const slot = new ExtentSlot();
  const end = state.virtualSize;
  for (let at = 0; at < end;) {
    yield* wait(locate(state, at, end - at, slot));
    const { length, kind } = slot;
    if (kind === 'zero' && state.backing === undefined) yield* discardGuest(state, at, length);
    else if (kind === 'zero') {
      for (let done = 0; done < length; done += ZEROES.length) {
        yield* writeGuest(state, at + done, ZEROES.subarray(0, Math.min(ZEROES.length, length - done)));
      }
    }
    at += length;
  }
}

function cannot(state: Qcow2State, option: string, why: string): PlatterError {
  return new PlatterError('amend.impossible', `${option} of "${state.image}" cannot be changed so: ${why}`, {
    image: state.image,
    option,
    value: why,
  });
}

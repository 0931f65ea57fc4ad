/** Finding an internal snapshot, and reading the disk as it was. */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import { TABLE_ENTRY } from './constants.ts';
import { badField, truncated } from './errors.ts';
import type { SnapshotRecord } from './snapshots.ts';
import type { Qcow2State } from './state.ts';

/** By id first, then by name, as QEMU looks. Throws `snapshot.unknown`. */
export function findSnapshot(state: Qcow2State, idOrName: string): SnapshotRecord {
  const found =
    state.snapshots.find(({ id }) => id === idOrName) ??
    state.snapshots.find(({ name }) => name === idOrName);
  if (found !== undefined) return found;
  throw new PlatterError('snapshot.unknown', `There is no snapshot "${idOrName}" in "${state.image}"`, {
    image: state.image,
    field: 'snapshot',
    value: idOrName,
    expected: state.snapshots.map(({ name }) => name).join(', '),
  });
}

/** The snapshot's L1 table, as in the file, held against it before memory is taken. */
export function* readSnapshotL1(state: Qcow2State, snapshot: SnapshotRecord): Steps<Uint8Array> {
  const { l1TableOffset: offset } = snapshot;
  const length = snapshot.l1Size * TABLE_ENTRY;
  if (offset % state.clusterSize !== 0)
    throw badField('snapshot l1_table_offset', snapshot.offset, offset, 'at a cluster');
  const fileSize = yield* wait(state.storage.size());
  if (offset + length > fileSize)
    throw truncated('L1 table of a snapshot', offset, offset + length, fileSize);
  const l1 = new Uint8Array(length);
  yield* wait(state.storage.read(offset, l1));
  return l1;
}

/** Bytes of the disk when it was taken; records of old programs do not say, the disk then had its present size. */
export function snapshotDiskSize(state: Qcow2State, snapshot: SnapshotRecord): number {
  const size = snapshot.diskSize ?? state.header.size;
  const needed = Math.ceil(size / state.l2Coverage);
  if (snapshot.l1Size < needed)
    throw badField('snapshot l1_size', snapshot.offset + 8, snapshot.l1Size, `at least ${needed}`);
  return size;
}

/** Makes a state that was just opened read-only show the snapshot. */
export function* showSnapshot(state: Qcow2State, idOrName: string): Steps<void> {
  const snapshot = findSnapshot(state, idOrName);
  const l1 = yield* readSnapshotL1(state, snapshot);
  state.header.size = snapshotDiskSize(state, snapshot);
  state.header.l1Size = snapshot.l1Size;
  state.header.l1TableOffset = snapshot.l1TableOffset;
  state.useL1(l1);
}

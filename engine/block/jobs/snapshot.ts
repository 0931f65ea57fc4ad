/**
 * `qemu-img snapshot`: internal snapshots of a qcow2 image.
 *
 * The guest's disk is whole at every moment. Between two moments counts and copied flags may disagree, which costs nothing but a
 * copy; the dirty bit (version 3) has whoever opens the image next put them right.
 */
import { PlatterError } from '../../errors.ts';
import { run, wait, type Steps } from '../../maybe.ts';
import type { FormatNode } from '../access.ts';
import { allocate } from '../formats/qcow2/allocation.ts';
import { withBitmapsResized } from '../formats/qcow2/bitmaps/resize.ts';
import { COPIED_HIGH, MAX_SNAPSHOTS, TABLE_ENTRY } from '../formats/qcow2/constants.ts';
import { writeDirtyBit, writeDisk } from '../formats/qcow2/header-update.ts';
import { refreshCopied, releaseAll, shareAll } from '../formats/qcow2/references.ts';
import type { Refcounts } from '../formats/qcow2/refcount.ts';
import { findSnapshot, readSnapshotL1, snapshotDiskSize } from '../formats/qcow2/show-snapshot.ts';
import { replaceSnapshots } from '../formats/qcow2/snapshot-table.ts';
import type { SnapshotRecord } from '../formats/qcow2/snapshots.ts';
import type { Qcow2State } from '../formats/qcow2/state.ts';
import { qcow2State } from './qcow2-state.ts';

/** Keeps the disk as it is now under `name`. Throws `snapshot.*`, `qcow2.refcount-overflow`. */
export async function createSnapshot(node: FormatNode, name: string, now = new Date()): Promise<void> {
  await alone(node, (state, refcounts) => createSteps(state, refcounts, name, now));
}

/** Makes the disk what it was, its size included; what it is now is lost. */
export async function applySnapshot(node: FormatNode, idOrName: string): Promise<void> {
  await alone(node, (state, refcounts) => applySteps(state, refcounts, findSnapshot(state, idOrName)));
}

/** Forgets a snapshot, by its name alone (as qemu-img), and gives back what only it used. */
export async function deleteSnapshot(node: FormatNode, name: string): Promise<void> {
  await alone(node, (state, refcounts) => {
    const snapshot = state.snapshots.find((record) => record.name === name);
    return deleteSteps(state, refcounts, snapshot ?? findSnapshot(state, name));
  });
}

type Work = (state: Qcow2State, refcounts: Refcounts) => Steps<void>;

async function alone(node: FormatNode, work: Work): Promise<void> {
  const state = qcow2State(node, 'snapshots');
  const { refcounts } = state;
  if (state.externalData || refcounts === undefined) {
    throw new PlatterError(
      'snapshot.external-data',
      `"${node.name}" keeps its data in another file, which snapshots cannot share`,
      { image: node.name, field: 'external data file' },
    );
  }
  await node.alone(() =>
    run(
      (function* (): Steps<void> {
        yield* state.tracker.finish();
        yield* wait(state.writeBack());
        yield* work(state, refcounts);
      })(),
    ),
  );
}

/** The flags and counts may disagree from here on; `false`: no more. */
function* settle(state: Qcow2State, refcounts: Refcounts): Steps<void> {
  yield* wait(state.writeBack());
  yield* refreshCopied(state, refcounts);
  yield* wait(state.writeBack());
  yield* writeDirtyBit(state, false);
}

function* createSteps(state: Qcow2State, refcounts: Refcounts, name: string, now: Date): Steps<void> {
  if (state.snapshots.length >= MAX_SNAPSHOTS || new TextEncoder().encode(name).length > 0xffff) {
    throw new PlatterError('snapshot.too-many', `"${state.image}" has no room for another snapshot`, {
      image: state.image,
      field: 'nb_snapshots',
      value: String(state.snapshots.length),
      expected: `at most ${MAX_SNAPSHOTS} snapshots with names of at most 65535 bytes`,
    });
  }
  const record: SnapshotRecord = {
    offset: 0,
    length: 0,
    l1TableOffset: 0,
    l1Size: state.header.l1Size,
    id: String(Math.max(0, ...state.snapshots.map(({ id }) => Number.parseInt(id, 10) || 0)) + 1),
    name,
    dateSec: Math.floor(now.getTime() / 1000),
    dateNsec: (now.getTime() % 1000) * 1_000_000,
    vmClockNsec: 0,
    vmStateSize: 0,
    diskSize: state.header.size,
    extra: new Uint8Array(24),
  };
  const extra = new DataView(record.extra.buffer);
  extra.setBigUint64(8, BigInt(state.header.size));
  extra.setBigInt64(16, -1n);
  yield* writeDirtyBit(state, true);
  yield* shareAll(state, refcounts, state.l1);
  yield* refreshCopied(state, refcounts);
  yield* wait(state.writeBack());
  record.l1TableOffset = yield* writeL1Copy(state, state.l1);
  yield* replaceSnapshots(state, [...state.snapshots, record]);
  yield* settle(state, refcounts);
}

function* applySteps(state: Qcow2State, refcounts: Refcounts, snapshot: SnapshotRecord): Steps<void> {
  const size = snapshotDiskSize(state, snapshot);
  const l1 = yield* readSnapshotL1(state, snapshot);
  // Everything may be different afterwards.
  yield* state.tracker.note(0, state.virtualSize);
  yield* withBitmapsResized(state, function* () {
    yield* wait(state.writeBack());
    yield* writeDirtyBit(state, true);
    yield* shareAll(state, refcounts, l1);
    const l1TableOffset = yield* writeL1Copy(state, l1);
    yield* wait(state.writeBack());
    const old = { l1: state.l1, offset: state.header.l1TableOffset };
    yield* writeDisk(state, { size, l1Size: snapshot.l1Size, l1TableOffset });
    state.useL1(l1);
    yield* releaseAll(refcounts, old.l1, old.offset);
    yield* settle(state, refcounts);
  });
}

function* deleteSteps(state: Qcow2State, refcounts: Refcounts, snapshot: SnapshotRecord): Steps<void> {
  const l1 = yield* readSnapshotL1(state, snapshot);
  yield* writeDirtyBit(state, true);
  yield* replaceSnapshots(
    state,
    state.snapshots.filter((record) => record !== snapshot),
  );
  yield* releaseAll(refcounts, l1, snapshot.l1TableOffset);
  yield* settle(state, refcounts);
}

/** A copy of the table without copied flags, in clusters of its own; `l1` loses its flags as well when it is not the active one. */
export function* writeL1Copy(state: Qcow2State, l1: Uint8Array): Steps<number> {
  if (l1.length === 0) return 0;
  const { clusterSize } = state;
  const copy = new Uint8Array(Math.ceil(l1.length / clusterSize) * clusterSize);
  copy.set(l1);
  for (let at = 0; at < l1.length; at += TABLE_ENTRY) copy[at] &= (COPIED_HIGH >>> 24) ^ 0xff;
  const offset = yield* allocate(state, copy.length / clusterSize);
  yield* wait(state.storage.write(offset, copy));
  return offset;
}

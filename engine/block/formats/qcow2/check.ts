/** `check` for qcow2: what points where, against the stored reference counts (QEMU: qcow2_check_refcounts). Reads only. */
import type { CheckResult } from '../../format.ts';
import { wait, type Steps } from '../../../maybe.ts';
import { followBitmaps } from './check/bitmaps.ts';
import { checkCopied } from './check/copied.ts';
import {
  compareCounts,
  followRefcountTable,
  readRefcountTable,
  UNCOUNTABLE,
  type Difference,
} from './check/refcounts.ts';
import { ReferenceCounts } from './check/references.ts';
import { CheckReport } from './check/report.ts';
import { addReferences, followL1, hex, readWhole, type CheckContext } from './check/tables.ts';
import { TABLE_ENTRY } from './constants.ts';
import { Refcounts } from './refcount.ts';
import type { Qcow2State } from './state.ts';

export function* checkImage(state: Qcow2State): Steps<CheckResult> {
  return (yield* inspect(state)).result;
}

export interface Inspection {
  result: CheckResult;
  /** Clusters whose stored count is not the number of references that were found. */
  differences: Difference[];
  /** Every entry of the refcount table leads to a block that can be read, or to none, and every count can be changed. */
  soundTable: boolean;
}

export function* inspect(state: Qcow2State): Steps<Inspection> {
  if (!state.readOnly) yield* wait(state.writeBack());
  const context = yield* followAll(state);
  const { result } = context.report;
  const table = yield* readRefcountTable(context);
  const damage = result.corruptions + result.checkErrors;
  const blocks = followRefcountTable(context, table);
  const there = table.length > 0 && state.header.refcountTableOffset > 0;
  const followed = there && damage === result.corruptions + result.checkErrors;
  const { checkErrors } = result;
  const differences = yield* compareCounts(context, blocks);
  const countable = differences.every(({ stored }) => stored !== UNCOUNTABLE);
  const soundTable = followed && countable && checkErrors === result.checkErrors;
  // The flags were noted on the way; only when something is wrong are the tables read again, to say where.
  const damaged = result.corruptions + result.checkErrors + differences.length > 0;
  if (damaged || state.externalData || context.references.flagsDisagree()) {
    yield* checkCopied(context, differences, soundRefcounts(state, blocks));
  }
  return { result, differences, soundTable };
}

/** References to everything that the header leads to, except the reference counts themselves. */
export function* followAll(state: Qcow2State): Steps<CheckContext> {
  const context: CheckContext = {
    state,
    report: new CheckReport(),
    references: new ReferenceCounts(),
    fileSize: yield* wait(state.storage.size()),
  };
  context.report.result.totalClusters = Math.ceil(state.virtualSize / state.clusterSize);
  addReferences(context, 0, state.clusterSize);
  const { crypto } = state.extensions;
  if (crypto !== undefined) addReferences(context, crypto.offset, crypto.length);
  yield* followL1(context, state.l1, state.header.l1TableOffset, true);
  yield* followSnapshots(context);
  yield* followBitmaps(context);
  return context;
}

function* followSnapshots(context: CheckContext): Steps<void> {
  const { state, report, fileSize } = context;
  for (const snapshot of state.snapshots) {
    const length = snapshot.l1Size * TABLE_ENTRY;
    const { l1TableOffset } = snapshot;
    if (l1TableOffset % state.clusterSize !== 0 || l1TableOffset + length > fileSize) {
      report.corruption(
        `the L1 table of snapshot "${snapshot.name}" at ${hex(l1TableOffset)} cannot lie there`,
      );
      continue;
    }
    const l1 = new Uint8Array(length);
    if (!(yield* readWhole(context, l1TableOffset, l1, 'L1 table of a snapshot'))) continue;
    yield* followL1(context, l1, l1TableOffset, false);
  }
  const last = state.snapshots.at(-1);
  if (last === undefined) return;
  const start = state.header.snapshotsOffset;
  addReferences(context, start, last.offset + last.length - start);
}

/** A reader of stored counts that sees only the blocks that passed; those of an open writer may hold more. */
function soundRefcounts(state: Qcow2State, blocks: Float64Array): Refcounts {
  const table = new Uint8Array(blocks.length * TABLE_ENTRY);
  const view = new DataView(table.buffer);
  blocks.forEach((offset, index) => {
    view.setUint32(index * TABLE_ENTRY, Math.floor(offset / 2 ** 32));
    view.setUint32(index * TABLE_ENTRY + 4, offset % 2 ** 32);
  });
  return new Refcounts(state, table);
}

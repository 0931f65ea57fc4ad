/**
 * `check -r` for qcow2: reference counts and copied flags are made to say what the tables say. Counts that are too small rise
 * first, then counts that are too large fall, then the flags follow: whenever it ends early, nothing is worse than before.
 */
import { PlatterError } from '../../../../errors.ts';
import { wait, type Steps } from '../../../../maybe.ts';
import type { CheckResult } from '../../../format.ts';
import { allocate } from '../allocation.ts';
import { followAll, inspect } from '../check.ts';
import { INCOMPATIBLE } from '../constants.ts';
import { writeFeatures } from '../header-update.ts';
import { refreshCopied } from '../references.ts';
import type { Refcounts } from '../refcount.ts';
import type { Qcow2State } from '../state.ts';
import { mendMisaligned } from './misaligned.ts';
import { rebuildRefcounts } from './rebuild.ts';
import type { Difference } from './refcounts.ts';
import { copiedData, copiedL2 } from './words.ts';

/** Lines of the log that are kept: a badly damaged image has one for each of its clusters. */
const MOST_LINES = 400;

export interface RepairResult {
  /** As it was found. */
  before: CheckResult;
  /** As it is left. */
  after: CheckResult;
  /** What was found and what was done about it, in QEMU's words. */
  log: string[];
  /** Counts that were lowered; counts that were raised and flags that were mended. */
  fixed: { leaks: number; corruptions: number };
}

/**
 * `leaks` lowers counts that are too large; `all` also raises those that are too small, mends flags, and builds all counts anew when
 * the refcount table leads nowhere. Throws `repair.refcount-table`.
 */
export function* repairQcow2(state: Qcow2State, what: 'leaks' | 'all'): Steps<RepairResult> {
  if (state.refcounts === undefined) throw new Error('repairing needs an image that is open for writing');
  const mended = what === 'all' ? yield* mendMisaligned(state) : [];
  const found = yield* inspect(state);
  const { messages } = found.result;
  // The flags are looked at once the counts are right, and then said to be mended.
  const log = [
    ...mended,
    ...(what === 'all' ? messages.filter((one) => !one.startsWith('ERROR OFLAG_COPIED')) : messages),
  ];
  const fixed = { leaks: 0, corruptions: mended.length };
  if (found.soundTable) yield* mendCounts(state, state.refcounts, what, found.differences, { fixed, log });
  else if (what === 'all') {
    log.push('Rebuilding refcount structure');
    fixed.corruptions += yield* rebuild(state, found.result);
  }
  if (what === 'all') {
    fixed.corruptions += yield* refreshCopied(state, state.refcounts, (index, high, low, count) => {
      const words = index === undefined ? copiedData(high, low, count) : copiedL2(index, high, low, count);
      if (log.length < MOST_LINES) log.push(`Repairing ${words}`);
    });
  }
  yield* wait(state.writeBack());
  yield* wait(state.storage.flush());
  const { result: after } = yield* inspect(state);
  if (what === 'all' && after.corruptions === 0 && after.checkErrors === 0) {
    const { header } = state;
    const bits = INCOMPATIBLE.dirty | INCOMPATIBLE.corrupt;
    if ((header.incompatible & bits) !== 0n) {
      header.incompatible &= ~bits;
      yield* writeFeatures(state);
    }
  }
  found.result.corruptions += mended.length;
  return { before: found.result, after, log, fixed };
}

/** Every count anew; how many faults were mended by it. */
function* rebuild(state: Qcow2State, before: CheckResult): Steps<number> {
  const context = yield* followAll(state);
  if (context.report.result.checkErrors > 0) {
    throw new PlatterError(
      'repair.refcount-table',
      `The refcount table of "${state.image}" is damaged, and so are tables from which it could be built anew`,
      { image: state.image, field: 'refcount table', hint: 'Convert the image to a new one.' },
    );
  }
  yield* rebuildRefcounts(state, context.references);
  const { result } = yield* inspect(state);
  return before.corruptions + before.checkErrors - result.corruptions - result.checkErrors;
}

/** Counts that are too small first, then those that are too large. */
function* mendCounts(
  state: Qcow2State,
  refcounts: Refcounts,
  what: 'leaks' | 'all',
  differences: readonly Difference[],
  { fixed, log }: Pick<RepairResult, 'fixed' | 'log'>,
): Steps<void> {
  const note = ({ cluster, stored, found }: Difference): void => {
    if (log.length < MOST_LINES)
      log.push(`Repairing cluster ${cluster} refcount=${stored} reference=${found}`);
  };
  // Nothing is allocated where a count may be wrong.
  refcounts.freeHint = Math.ceil((yield* wait(state.storage.size())) / state.clusterSize);
  if (what === 'all') {
    for (const difference of differences) {
      const { cluster, stored, found } = difference;
      if (stored >= found) continue;
      note(difference);
      yield* ensureBlock(state, refcounts, cluster);
      yield* refcounts.change(cluster * state.clusterSize, 1, found - stored);
      fixed.corruptions++;
    }
    yield* wait(state.writeBack());
  }
  for (const difference of differences) {
    const { cluster, stored, found } = difference;
    if (stored <= found) continue;
    note(difference);
    yield* refcounts.change(cluster * state.clusterSize, 1, found - stored);
    fixed.leaks++;
  }
}

/** A refcount block for `cluster`, placed behind the end of the file where there is none. */
function* ensureBlock(state: Qcow2State, refcounts: Refcounts, cluster: number): Steps<void> {
  const block = Math.floor(cluster / refcounts.perBlock);
  if (refcounts.blockOffset(block) !== 0) return;
  const place = yield* allocate(state, 1);
  if (refcounts.blockOffset(block) !== 0) {
    // Finding room made it already.
    yield* refcounts.change(place, 1, -1);
    return;
  }
  yield* wait(state.storage.writeZeroes(place, state.clusterSize));
  refcounts.cache.forget(place, state.clusterSize);
  refcounts.setBlock(block, place);
}

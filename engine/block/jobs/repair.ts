/** `qemu-img check -r`: a check, what of it can be mended, and a second check. */
import { PlatterError } from '../../errors.ts';
import { run, wait, type Maybe, type Steps } from '../../maybe.ts';
import type { FormatNode } from '../access.ts';
import type { CheckResult, FormatDriver } from '../format.ts';
import { ParallelsDriver } from '../formats/parallels/driver.ts';
import { repairQcow2, type RepairResult } from '../formats/qcow2/check/repair.ts';
import { Qcow2Driver } from '../formats/qcow2/driver.ts';
import { QedDriver } from '../formats/qed/driver.ts';
import { VhdxDriver } from '../formats/vhdx/driver.ts';

export type { RepairResult };

/**
 * Of an image opened with `repair: true` and for writing: qcow2, QED, Parallels, and VHDX (whose log is replayed by opening it).
 * Throws `block.no-repair`, `repair.refcount-table`.
 */
export async function repairImage(node: FormatNode, what: 'leaks' | 'all'): Promise<RepairResult> {
  if (node.readOnly) throw notHere(node);
  return node.alone(() => repair(node, node.format, what));
}

function repair(node: FormatNode, format: FormatDriver, what: 'leaks' | 'all'): Maybe<RepairResult> {
  if (format instanceof Qcow2Driver) return run(repairQcow2(format.state, what));
  if (format instanceof QedDriver) return run(mend(format, () => format.repair()));
  if (format instanceof ParallelsDriver) return run(mend(format, () => format.repair(what)));
  if (format instanceof VhdxDriver) return run(mendVhdx(format));
  throw notHere(node);
}

type Checked = FormatDriver & Required<Pick<FormatDriver, 'check'>>;

function* mend(format: Checked, repairIt: () => Maybe<CheckResult>): Steps<RepairResult> {
  const before = yield* wait(format.check());
  yield* wait(repairIt());
  yield* wait(format.storage.flush());
  const after = yield* wait(format.check());
  const fixed = {
    leaks: Math.max(0, before.leaks - after.leaks),
    corruptions: Math.max(0, before.corruptions - after.corruptions),
  };
  return { before, after, log: before.messages, fixed };
}

/** QEMU counts a log that had to be replayed as a corruption that was mended (`vhdx_co_check`). */
function* mendVhdx(format: VhdxDriver): Steps<RepairResult> {
  const found = yield* wait(format.check());
  const corruptions = format.parts.replayedIntoFile === true ? 1 : 0;
  return { before: found, after: found, log: [], fixed: { leaks: 0, corruptions } };
}

function notHere(node: FormatNode): PlatterError {
  return new PlatterError('block.no-repair', `A ${node.driver} image cannot be repaired here`, {
    image: node.name,
    value: node.driver,
    hint: 'Only qcow2, QED, Parallels and VHDX images can; convert others to a new image.',
  });
}

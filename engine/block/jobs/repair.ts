/** `qemu-img check -r`: a check, what of it can be mended, and a second check. */
import { PlatterError } from '../../errors.ts';
import { run } from '../../maybe.ts';
import type { FormatNode } from '../access.ts';
import { repairQcow2, type RepairResult } from '../formats/qcow2/check/repair.ts';
import { Qcow2Driver } from '../formats/qcow2/driver.ts';

export type { RepairResult };

/** Of an image opened with `repair: true` and for writing. Throws `block.no-repair`, `repair.refcount-table`. */
export async function repairImage(node: FormatNode, what: 'leaks' | 'all'): Promise<RepairResult> {
  const { format } = node;
  if (!(format instanceof Qcow2Driver) || node.readOnly) {
    throw new PlatterError('block.no-repair', `A ${node.driver} image cannot be repaired here`, {
      image: node.name,
      value: node.driver,
      hint: 'Open a qcow2 image for writing; others are put right when they are opened for writing.',
    });
  }
  return node.alone(() => run(repairQcow2(format.state, what)));
}

/** Jobs on what only qcow2 has: the image's inside, or an error that says so. */
import { PlatterError } from '../../errors.ts';
import type { FormatNode } from '../access.ts';
import { Qcow2Driver } from '../formats/qcow2/driver.ts';
import type { Qcow2State } from '../formats/qcow2/state.ts';

/** Throws `block.qcow2-only` naming `what` (bitmaps, snapshots, …), and `block.read-only` when `write` and it is not writable. */
export function qcow2State(node: FormatNode, what: string, write = true): Qcow2State {
  if (!(node.format instanceof Qcow2Driver)) {
    throw new PlatterError('block.qcow2-only', `${node.driver} images have no ${what}`, {
      image: node.name,
      field: what,
      value: node.driver,
      hint: 'Convert the image to qcow2.',
    });
  }
  const { state } = node.format;
  if (state.broken !== undefined) throw state.broken;
  if (write && state.readOnly) {
    throw new PlatterError('block.read-only', `"${node.name}" is open read-only`, {
      image: node.name,
      hint: 'Open it for writing.',
    });
  }
  return state;
}

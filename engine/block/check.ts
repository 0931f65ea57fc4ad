/** `checkImage`: is the image sound? As `qemu-img check --output=json` counts it; nothing is repaired. */
import type { CheckResult } from '../../contract/images.ts';
import { PlatterError } from '../errors.ts';
import type { Maybe } from '../maybe.ts';
import type { FormatNode } from './access.ts';

/** Throws `block.no-check` for formats that have nothing to check (raw). */
export function checkImage(node: FormatNode): Maybe<CheckResult> {
  return node.alone(() => {
    if (node.format.check !== undefined) return node.format.check();
    throw new PlatterError('block.no-check', `There is nothing to check in a ${node.driver} image`, {
      image: node.name,
      value: node.driver,
    });
  });
}

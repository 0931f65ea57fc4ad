/** `qemu-img resize`: another size of the disk, for raw and qcow2. */
import { PlatterError } from '../../errors.ts';
import { run } from '../../maybe.ts';
import type { FormatNode } from '../access.ts';
import { resizeQcow2 } from '../formats/qcow2/resize.ts';
import { qcow2State } from './qcow2-state.ts';

export interface ResizeOptions {
  /** Without it a smaller size throws `resize.shrinks`: what lies behind the new end is lost. */
  shrink?: boolean;
}

/** `size` in bytes; rounded up to whole sectors of 512 bytes. The node is of no use afterwards: open the image anew. */
export async function resizeImage(
  node: FormatNode,
  size: number,
  options: ResizeOptions = {},
): Promise<void> {
  const rounded = Math.ceil(size / 512) * 512;
  if (!Number.isSafeInteger(rounded) || size < 0) {
    throw new PlatterError('resize.bad-size', `A disk cannot have ${size} bytes`, {
      image: node.name,
      field: 'size',
      value: String(size),
      expected: '0 to 2^53 bytes',
    });
  }
  if (rounded < node.virtualSize && options.shrink !== true) {
    throw new PlatterError(
      'resize.shrinks',
      `"${node.name}" would shrink from ${node.virtualSize} to ${rounded} bytes; what lies behind that is lost`,
      { image: node.name, value: String(rounded), hint: 'Say --shrink if that is what you want.' },
    );
  }
  if (node.driver !== 'raw') {
    const state = qcow2State(node, 'resizing');
    await node.alone(() => run(resizeQcow2(state, rounded)));
    return;
  }
  if (node.readOnly) {
    throw new PlatterError('block.read-only', `"${node.name}" is open read-only`, { image: node.name });
  }
  await node.alone(() => node.format.storage.truncate(rounded));
}

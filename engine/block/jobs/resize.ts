/** `qemu-img resize`: another size of the disk. QEMU's drivers can do it for raw, qcow2, QED (larger only) and LUKS. */
import { PlatterError } from '../../errors.ts';
import { run, type Maybe, type Steps } from '../../maybe.ts';
import type { FormatNode } from '../access.ts';
import { LuksDriver } from '../formats/luks/driver.ts';
import { Qcow2Driver } from '../formats/qcow2/driver.ts';
import { resizeQcow2 } from '../formats/qcow2/resize.ts';
import { QedDriver } from '../formats/qed/driver.ts';
import { RawDriver } from '../formats/raw/driver.ts';
import { tableEntries } from '../formats/qed/header.ts';
import { checkPreallocation, preallocateFrom, preallocationMode } from './preallocate.ts';
import { qcow2State } from './qcow2-state.ts';

export interface ResizeOptions {
  /** Without it a smaller size throws `resize.shrinks`: what lies behind the new end is lost. */
  shrink?: boolean;
  /** How much of what is added is reserved beforehand: off (default), metadata (qcow2), falloc and full (raw and qcow2). */
  preallocation?: string;
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
  if (node.readOnly) {
    throw new PlatterError('block.read-only', `"${node.name}" is open read-only`, {
      image: node.name,
      hint: 'Open it for writing.',
    });
  }
  const mode = preallocationMode(options.preallocation);
  const before = node.virtualSize;
  if (mode !== 'off') checkPreallocation(node, mode, rounded);
  await node.alone(() => change(node, rounded));
  await preallocateFrom(node, before, mode);
}

function change(node: FormatNode, size: number): Maybe<void> {
  const { format } = node;
  if (format instanceof Qcow2Driver) return run(resizeQcow2(qcow2State(node, 'resizing'), size));
  if (format instanceof QedDriver) return run(growQed(format, size));
  if (format instanceof LuksDriver) return format.storage.truncate(format.payload + size);
  if (format instanceof RawDriver && !format.fixedSize) return format.storage.truncate(format.start + size);
  throw new PlatterError(
    'resize.not-possible',
    `The disk of a ${node.driver} image has the size that it was made with`,
    { image: node.name, value: node.driver, hint: 'Convert it to qcow2 or raw, and resize that.' },
  );
}

/** QEMU: bdrv_qed_co_truncate. One write of the header; the tables reach further than any disk that fits into them. */
function* growQed(driver: QedDriver, size: number): Steps<void> {
  const { header, storage } = driver;
  const refuse = (code: string, message: string, expected: string): PlatterError =>
    new PlatterError(code, message, { image: storage.name, field: 'size', value: String(size), expected });
  if (size < header.image_size) {
    const message = `A qed image cannot become smaller`;
    throw refuse('resize.cannot-shrink', message, `at least ${header.image_size} bytes`);
  }
  const most = tableEntries(header) ** 2 * header.cluster_size;
  if (size > most) {
    const message = `"${storage.name}" cannot have ${size} bytes: its tables reach to ${most}`;
    throw refuse('resize.too-large', message, `at most ${most} bytes`);
  }
  if (driver.backing !== undefined && driver.backing.virtualSize > header.image_size) {
    const message = `What "${storage.name}" does not show of its backing file would come to light behind its old end`;
    throw refuse('resize.backing-longer', message, 'a backing file that is no longer than the disk');
  }
  yield* driver.resize(size);
}

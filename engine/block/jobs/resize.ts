/**
 * `qemu-img resize`: another size of the disk. QEMU's drivers can do it for raw, qcow2, QED (larger only) and LUKS; those of VDI, VHDX,
 * dynamic VHD and monolithicSparse VMDK cannot, and here they grow.
 */
import { PlatterError } from '../../errors.ts';
import { run, type Maybe, type Steps } from '../../maybe.ts';
import type { FormatNode } from '../access.ts';
import type { FormatDriver } from '../format.ts';
import { LuksDriver } from '../formats/luks/driver.ts';
import { Qcow2Driver } from '../formats/qcow2/driver.ts';
import { resizeQcow2 } from '../formats/qcow2/resize.ts';
import { QedDriver } from '../formats/qed/driver.ts';
import { RawDriver } from '../formats/raw/driver.ts';
import { tableEntries } from '../formats/qed/header.ts';
import { requireGrowth } from '../formats/shared/grow.ts';
import { VdiDriver } from '../formats/vdi/driver.ts';
import { growVdi } from '../formats/vdi/grow.ts';
import { VhdxDriver } from '../formats/vhdx/driver.ts';
import { growVhdx } from '../formats/vhdx/grow.ts';
import { VmdkDriver } from '../formats/vmdk/driver.ts';
import { growVmdk, monolithicSparse } from '../formats/vmdk/grow.ts';
import { VpcDynamicDriver } from '../formats/vpc/driver.ts';
import { VpcFixedDriver } from '../formats/vpc/fixed.ts';
import { growVpc } from '../formats/vpc/grow.ts';
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
  if (format instanceof LuksDriver) return format.storage.truncate(format.payload + size);
  if (format instanceof RawDriver && !format.fixedSize) return format.storage.truncate(format.start + size);
  if (format instanceof QedDriver) return run(growQed(format, size));
  if (format instanceof VdiDriver) return run(growVdi(format, size));
  if (format instanceof VhdxDriver) return run(growVhdx(format, size));
  if (format instanceof VpcDynamicDriver) return run(growVpc(format, size));
  if (format instanceof VmdkDriver) {
    const extent = monolithicSparse(format);
    if (extent !== undefined) return run(growVmdk(format, extent, size));
  }
  const kind = kindOf(format);
  throw new PlatterError(
    'resize.not-possible',
    `The disk of a ${kind} image has the size that it was made with`,
    { image: node.name, value: kind, hint: 'Convert it to qcow2 or raw, and resize that.' },
  );
}

/** The format by name, and which of its kinds cannot become larger where others can. */
function kindOf(format: FormatDriver): string {
  if (format instanceof VmdkDriver) return `vmdk (${format.parts.session.descriptor.createType})`;
  return format instanceof VpcFixedDriver ? 'vpc (fixed)' : format.format;
}

/** QEMU: bdrv_qed_co_truncate. One write of the header; the tables reach further than any disk that fits into them. */
function* growQed(driver: QedDriver, size: number): Steps<void> {
  const { header } = driver;
  requireGrowth(driver, size, tableEntries(header) ** 2 * header.cluster_size);
  yield* driver.resize(size);
}

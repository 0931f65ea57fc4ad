/** Preallocation modes of `create`, `convert` and `resize`: off, metadata, falloc, full. */
import { PlatterError } from '../../errors.ts';
import { run } from '../../maybe.ts';
import type { FormatNode } from '../access.ts';
import type { CreateOptions, FormatDriver } from '../format.ts';
import { LuksDriver } from '../formats/luks/driver.ts';
import { Qcow2Driver } from '../formats/qcow2/driver.ts';
import { preallocateQcow2 } from '../formats/qcow2/preallocate.ts';
import { writeZeroes } from '../formats/raw/create.ts';
import { RawDriver } from '../formats/raw/driver.ts';
import type { NewImage } from './new-image.ts';

export type Preallocation = 'off' | 'metadata' | 'falloc' | 'full';

/** Throws `block.bad-option`. */
export function preallocationMode(value: CreateOptions[string]): Preallocation {
  if (value === undefined) return 'off';
  if (value === 'off' || value === 'metadata' || value === 'falloc' || value === 'full') return value;
  throw badMode(String(value), 'off, metadata, falloc or full');
}

/** What a new image was asked to reserve. Only qcow2 has tables to fill; the others did it while they were made. */
export async function preallocateNew(image: NewImage, create: CreateOptions): Promise<void> {
  if (image.descriptor.name !== 'qcow2') return;
  let mode = preallocationMode(create['preallocation']);
  // Without places in its tables the image would not show what somebody writes into the raw file (QEMU: qcow2_co_create).
  const raw = create['data_file_raw'] === true || create['data_file_raw'] === 'on';
  if (mode === 'off' && raw) mode = 'metadata';
  if (mode === 'off') return;
  if (
    create['backing_file'] !== undefined &&
    create['extended_l2'] !== true &&
    create['extended_l2'] !== 'on'
  ) {
    throw badMode(mode, 'no backing_file, or extended_l2=on as well');
  }
  const node = await image.open({ backing: 'skip' });
  try {
    await preallocateFrom(node, 0, mode, false);
  } finally {
    await node.close();
  }
}

/** Before a disk gets `size` bytes: throws `block.bad-option` for what `preallocateFrom` could not do afterwards. */
export function checkPreallocation(node: FormatNode, mode: Preallocation, size: number): void {
  if (size < node.virtualSize) throw badMode(mode, 'off where a disk becomes smaller');
  if (node.format instanceof Qcow2Driver) return;
  const plain = node.driver === 'raw' || node.format instanceof LuksDriver;
  if (!plain) throw badMode(mode, `off: a ${node.driver} image has no preallocation`);
  if (mode === 'metadata') throw badMode(mode, `off, falloc or full for a ${node.driver} image`);
}

/**
 * Reserves what was added to a disk behind byte `from`. `metadata` fills tables; `falloc` and `full` take the space as well: both write
 * zeroes, since Node cannot reserve space without writing.
 */
export async function preallocateFrom(
  node: FormatNode,
  from: number,
  mode: Preallocation,
  grown = true,
): Promise<void> {
  if (mode === 'off') return;
  const full = mode !== 'metadata';
  const { format } = node;
  if (format instanceof Qcow2Driver) {
    const { state } = format;
    const start = Math.ceil(from / state.clusterSize) * state.clusterSize;
    await node.alone(() => run(preallocateQcow2(state, start, state.header.size, { full, grown })));
    return;
  }
  checkPreallocation(node, mode, node.virtualSize);
  const { storage } = format;
  await run(writeZeroes(storage, startOf(format) + from, await storage.size()));
}

/** Where the disk begins in its storage, bytes. */
function startOf(format: FormatDriver): number {
  if (format instanceof LuksDriver) return format.payload;
  return format instanceof RawDriver ? format.start : 0;
}

function badMode(value: string, expected: string): PlatterError {
  return new PlatterError(
    'block.bad-option',
    `preallocation=${value} is not possible: it needs ${expected}`,
    {
      option: 'preallocation',
      value,
      expected,
    },
  );
}

/** `qemu-img measure`: how much room a new image takes, before it is made. */
import { PlatterError } from '../../errors.ts';
import { run, type Steps } from '../../maybe.ts';
import { FormatNode } from '../access.ts';
import type { CreateOptions } from '../format.ts';
import { bitmapBytes } from '../formats/qcow2/bitmaps/contents.ts';
import { recordLength } from '../formats/qcow2/bitmaps/directory.ts';
import { checkCreateOptions } from '../formats/qcow2/create-options.ts';
import { Qcow2Driver } from '../formats/qcow2/driver.ts';
import { fullyAllocated } from '../formats/qcow2/measure.ts';
import type { Qcow2State } from '../formats/qcow2/state.ts';
import { formatByName } from '../formats/registry.ts';
import { luksPayloadOffset } from '../formats/luks/create.ts';
import { encryptOptions } from '../formats/luks/options.ts';
import { extentAt } from '../map.ts';
import type { BlockNode } from '../node.ts';

/** Bytes. */
export interface Measured {
  /** What conversion of this source takes; for a size alone, what an empty image takes. */
  required: number;
  /** What it takes once every byte of the disk was written. */
  fullyAllocated: number;
  /** What copies of the source's bitmaps take; only where source and target can have some. */
  bitmaps?: number;
}

export interface MeasureOptions {
  /** QEMU's driver name of the target: raw, qcow2 or luks. Default `raw`. */
  format?: string;
  /** As `qemu-img measure -o`, without `size`. */
  create?: Omit<CreateOptions, 'size'>;
}

/** `source`: what would be converted, or the size of an empty disk, bytes. Reads tables only. Throws `measure.unsupported-format`. */
export async function measureImage(
  source: BlockNode | number,
  options: MeasureOptions = {},
): Promise<Measured> {
  const format = formatByName(options.format ?? 'raw').name;
  const size = typeof source === 'number' ? source : source.virtualSize;
  const whole = Math.ceil(size / 512) * 512;
  const create = options.create ?? {};
  if (format === 'raw') return { required: whole, fullyAllocated: whole };
  if (format === 'luks') {
    const total = luksPayloadOffset('luks', create) + (typeof source === 'number' ? size : whole);
    return { required: total, fullyAllocated: total };
  }
  if (format === 'qcow2') return run(measureQcow2(source, size, create));
  throw new PlatterError('measure.unsupported-format', `How large a ${format} image gets cannot be told`, {
    option: 'format',
    value: format,
    expected: 'raw, qcow2 or luks',
  });
}

function* measureQcow2(
  source: BlockNode | number,
  size: number,
  create: Omit<CreateOptions, 'size'>,
): Steps<Measured> {
  const layout = checkCreateOptions({ ...create, size });
  const { clusterSize } = layout;
  const whole = Math.ceil(size / clusterSize) * clusterSize;
  const preallocation = create['preallocation'] ?? 'off';
  let data = 0;
  // What the backing file shares with the source is not known: all of it may have to be written.
  if (preallocation === 'falloc' || preallocation === 'full') data = whole;
  else if (typeof source !== 'number')
    data = layout.backingFile === undefined ? yield* dataClusters(source, clusterSize) : whole;
  const luks = encryptOptions(create);
  const header = luks === undefined ? 0 : luksPayloadOffset('qcow2', luks);
  const all = fullyAllocated(layout, whole) + Math.ceil(header / clusterSize) * clusterSize;
  const measured: Measured = { required: all - whole + data, fullyAllocated: all };
  const state =
    source instanceof FormatNode && source.format instanceof Qcow2Driver ? source.format.state : undefined;
  if (layout.version === 3 && state !== undefined && state.header.version === 3)
    measured.bitmaps = bitmapSpace(state, clusterSize);
  return measured;
}

/** Bytes of the clusters that hold anything but known zeroes. */
function* dataClusters(source: BlockNode, clusterSize: number): Steps<number> {
  const end = source.virtualSize;
  let total = 0;
  for (let at = 0; at < end;) {
    const extent = yield* extentAt(source, at, end - at);
    let { length } = extent;
    if (extent.data && !extent.zero) {
      length = Math.ceil((at + length) / clusterSize) * clusterSize - at;
      total += (at % clusterSize) + length;
    }
    at += length;
  }
  return total;
}

/** QEMU: qcow2_get_persistent_dirty_bitmap_size, as if every bit were stored. */
function bitmapSpace(state: Qcow2State, clusterSize: number): number {
  const up = (bytes: number): number => Math.ceil(bytes / clusterSize) * clusterSize;
  let total = 0;
  let directory = 0;
  for (const record of state.bitmaps ?? []) {
    const stored = up(bitmapBytes(state.virtualSize, record.granularityBits));
    total += stored + up((stored / clusterSize) * 8);
    directory += recordLength({ ...record, extra: new Uint8Array(0) });
  }
  return total + up(directory);
}

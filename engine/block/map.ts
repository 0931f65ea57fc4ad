/** `mapPage`: the guest's disk as extents, chain included, merged as `qemu-img map --output=json` merges them. */
import type { MapExtent, MapPage } from '../../contract/images.ts';
import { PlatterError } from '../errors.ts';
import { run, wait, type Maybe, type Steps } from '../maybe.ts';
import { FormatNode } from './access.ts';
import type { BlockExtent, BlockNode } from './node.ts';
import { FileStorage } from './storage/file.ts';
import { NodeStorage } from './storage/node-storage.ts';
import type { Storage } from './storage/storage.ts';
import { UnavailableNode } from './unavailable.ts';

export interface MapOptions {
  /** Where to start, bytes. Default 0. */
  start?: number;
  /** Where to stop, bytes. Default: the end of the disk. */
  end?: number;
  /** Most extents in the answer. Default: no limit. */
  limit?: number;
}

/** Reads mapping tables only. Where a backing image is not open the extent has `present: false`. */
export function mapPage(node: BlockNode, options: MapOptions = {}): Maybe<MapPage> {
  return run(mapSteps(node, options));
}

function* mapSteps(node: BlockNode, options: MapOptions): Steps<MapPage> {
  const end = Math.min(options.end ?? node.virtualSize, node.virtualSize);
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  const extents: MapExtent[] = [];
  let at = options.start ?? 0;
  if (at < 0 || !Number.isSafeInteger(at)) throw badStart(node, at);
  while (at < end) {
    const extent = yield* extentAt(node, at, end - at);
    const last = extents.at(-1);
    if (last !== undefined && mergeable(last, extent)) {
      last.length += extent.length;
    } else {
      if (extents.length >= limit) return { extents, next: at };
      extents.push(extent);
    }
    at += extent.length;
  }
  return { extents, next: at < node.virtualSize ? at : null };
}

/** One extent, from the first layer of the chain that has something to say. At most `length` long. */
export function* extentAt(node: BlockNode, offset: number, length: number, depth = 0): Steps<MapExtent> {
  const mapped = yield* wait(node.map(offset, length));
  const { backing } = node;
  if (mapped.kind === 'unallocated' && backing !== undefined) {
    if (backing instanceof UnavailableNode) {
      return { start: offset, length: mapped.length, depth: depth + 1, ...NOTHING, zero: false };
    }
    if (offset < backing.virtualSize) {
      return yield* extentAt(
        backing,
        offset,
        Math.min(mapped.length, backing.virtualSize - offset),
        depth + 1,
      );
    }
    // Past the end of a shorter backing disk there are zeroes, and they count as this layer's.
    return { start: offset, length: mapped.length, depth, ...NOTHING };
  }
  const extent: MapExtent = {
    start: offset,
    length: mapped.length,
    depth,
    present: mapped.kind !== 'unallocated',
    zero: mapped.kind === 'zero' || mapped.kind === 'unallocated',
    data: mapped.kind === 'data' || mapped.kind === 'special',
    compressed: mapped.compressed ?? false,
  };
  // As QEMU: where the bytes are not stored as the guest sees them no offset is told.
  if (mapped.hostOffset !== undefined && mapped.kind !== 'special' && mapped.encrypted !== true)
    extent.offset = mapped.hostOffset;
  const file = fileBeside(node, mapped.storage);
  if (file !== undefined) extent.file = file;
  if (mapped.kind === 'data' && mapped.encrypted !== true) yield* askBelow(node, mapped, extent);
  return extent;
}

/** Of some formats QEMU asks the file as well: what is a hole there reads as zeroes (`block/io.c`, bdrv_co_block_status). */
function* askBelow(
  node: BlockNode,
  { storage, hostOffset = 0 }: BlockExtent,
  extent: MapExtent,
): Steps<void> {
  const meaning = yield* wait(node.holesAre?.(extent.start));
  if (meaning === undefined || storage === undefined) return;
  if (meaning === 'hole' && storage instanceof NodeStorage) {
    // Another disk that is shown as it is: what that says counts.
    const shown = yield* extentAt(storage.node, storage.start + hostOffset, extent.length);
    Object.assign(extent, { offset: undefined }, shown, { start: extent.start, depth: extent.depth });
    return;
  }
  const size = yield* wait(storage.size());
  if (hostOffset >= size) {
    // A format may have data past the end of its file, which reads as zeroes; of a raw disk the file was cut off under us.
    extent.zero = meaning === 'zeroes';
    return;
  }
  const below = yield* wait(storage.extentAt(hostOffset, Math.min(extent.length, size - hostOffset)));
  extent.zero = below.kind === 'hole';
  if (meaning === 'hole') extent.data = !extent.zero;
  const toEnd = extent.zero && hostOffset + below.length >= size;
  if (meaning === 'hole' || !toEnd) extent.length = Math.min(extent.length, below.length);
}

const NOTHING = { present: false, zero: true, data: false, compressed: false };

/** Where a format keeps data in a file beside its own. */
function fileBeside(node: BlockNode, storage: Storage | undefined): string | undefined {
  if (!(node instanceof FormatNode) || storage === node.format.storage) return undefined;
  return storage instanceof FileStorage ? storage.name : undefined;
}

/** QEMU: entry_mergeable. */
export function mergeable(last: MapExtent, next: MapExtent): boolean {
  if (
    last.depth !== next.depth ||
    last.file !== next.file ||
    last.present !== next.present ||
    last.zero !== next.zero ||
    last.data !== next.data ||
    last.compressed !== next.compressed
  ) {
    return false;
  }
  if (last.offset === undefined || next.offset === undefined) return last.offset === next.offset;
  return last.offset + last.length === next.offset;
}

function badStart(node: BlockNode, start: number): PlatterError {
  return new PlatterError('block.out-of-range', `There is no byte ${start} on "${node.name}"`, {
    image: node.name,
    offset: start,
    expected: `0 to ${node.virtualSize}`,
  });
}

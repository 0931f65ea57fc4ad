/** `compare`: do two disks read the same? As `qemu-img compare` (qemu-img.c, img_compare) answers it. */
import { alignedBuffer } from '../../bytes/aligned.ts';
import { ZEROES } from '../../bytes/zeroes.ts';
import { run } from '../../maybe.ts';
import { extentAt } from '../map.ts';
import type { BlockNode } from '../node.ts';
import { JobPace, type JobOptions } from './job.ts';

export interface CompareOptions extends JobOptions {
  /** Sizes and what is allocated must be the same as well. */
  strict?: boolean;
}

export interface Comparison {
  /** `content` and `status` with the offset where they first differ. */
  verdict: 'identical' | 'content' | 'status' | 'size';
  /** Byte of the disk: for contents the start of the first 512-byte sector that differs. */
  offset?: number;
  /**
   * The disks differ in size, and that was reached: without `strict` they count as identical when the rest of the longer one is
   * zero. A difference before the end of the shorter one comes first.
   */
  sizesDiffer: boolean;
}

const PIECE = 2 << 20;
const SECTOR = 512;

export async function compareImages(
  one: BlockNode,
  two: BlockNode,
  options: CompareOptions = {},
): Promise<Comparison> {
  const pace = new JobPace(options);
  const sizesDiffer = one.virtualSize !== two.virtualSize;
  if (options.strict === true && sizesDiffer) return { verdict: 'size', sizesDiffer };
  const shared = Math.min(one.virtualSize, two.virtualSize);
  const total = Math.max(one.virtualSize, two.virtualSize);
  const buffers: [Uint8Array, Uint8Array] = [alignedBuffer(PIECE), alignedBuffer(PIECE)];
  pace.check();
  for (let at = 0; at < total;) {
    const left = await stretch(one, at, total);
    const right = await stretch(two, at, total);
    const length = Math.min(left.length, right.length);
    if (options.strict === true && left.status !== right.status)
      return { verdict: 'status', offset: at, sizesDiffer };
    if (left.zero && right.zero) {
      at += length;
    } else {
      const count = Math.min(length, PIECE);
      const differs = await firstDifference(left, right, at, count, buffers);
      if (differs >= 0)
        return { verdict: 'content', offset: at + differs, sizesDiffer: sizesDiffer && at >= shared };
      at += count;
    }
    await pace.step(at, total);
  }
  options.onProgress?.(total, total);
  return { verdict: 'identical', sizesDiffer };
}

interface Stretch {
  node?: BlockNode;
  length: number;
  zero: boolean;
  status: string;
}

/** Behind the end of a disk there are zeroes, as far as the other one goes. */
async function stretch(node: BlockNode, at: number, total: number): Promise<Stretch> {
  if (at >= node.virtualSize) return { length: total - at, zero: true, status: 'end' };
  const extent = await run(extentAt(node, at, node.virtualSize - at));
  const status = [extent.present, extent.data, extent.zero, extent.offset !== undefined].join();
  return { node, length: extent.length, zero: extent.zero, status };
}

/** The sector where the bytes first differ, counted from `at`, or -1. */
async function firstDifference(
  left: Stretch,
  right: Stretch,
  at: number,
  count: number,
  buffers: readonly [Uint8Array, Uint8Array],
): Promise<number> {
  const a = await bytesOf(left, at, buffers[0].subarray(0, count));
  const b = await bytesOf(right, at, buffers[1].subarray(0, count));
  if (Buffer.compare(a, b) === 0) return -1;
  const index = a.findIndex((byte, place) => byte !== b[place]);
  return index - (index % SECTOR);
}

async function bytesOf({ node, zero }: Stretch, at: number, target: Uint8Array): Promise<Uint8Array> {
  if (zero || node === undefined) {
    return target.length <= ZEROES.length ? ZEROES.subarray(0, target.length) : target.fill(0);
  }
  const done = node.read(at, target);
  if (done !== undefined) await done;
  return target;
}

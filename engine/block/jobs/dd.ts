/** `qemu-img dd`: blocks of a disk, from one on and so many, into a new image. */
import { PlatterError } from '../../errors.ts';
import { RangeNode } from '../filters/range.ts';
import type { BlockNode } from '../node.ts';
import { convert, type ConvertOptions } from './convert.ts';

export interface DdOptions extends Omit<ConvertOptions, 'sparse'> {
  /** Bytes of one block, 1 to 2^31 - 1. Default 512. */
  bs?: number;
  /** The disk counts as if it ended behind this many blocks. Default: all. */
  count?: number;
  /** Blocks left out at the start; they are among `count`, as with qemu-img. Default 0. */
  skip?: number;
}

export interface DdResult {
  /** Bytes of the new disk. */
  size: number;
  /** `skip` leads past the end: the new disk is empty. */
  pastEnd: boolean;
}

/** Bytes of `source` that `options` mean. Throws `dd.bad-number`. */
export function ddRange(source: BlockNode, options: DdOptions): { start: number; end: number } {
  const bs = options.bs ?? 512;
  const skip = options.skip ?? 0;
  check('bs', bs, 1, 0x7fff_ffff);
  check('skip', skip, 0, Number.MAX_SAFE_INTEGER);
  if (options.count !== undefined) check('count', options.count, 0, Number.MAX_SAFE_INTEGER);
  const end = Math.min(source.virtualSize, (options.count ?? Number.POSITIVE_INFINITY) * bs);
  return { start: skip * bs, end };
}

/** Throws what `convert` throws, and `dd.bad-number`. `path` appears only when it is complete. */
export async function ddImage(source: BlockNode, path: string, options: DdOptions = {}): Promise<DdResult> {
  const { start, end } = ddRange(source, options);
  const size = Math.max(0, end - start);
  const { bs: _bs, count: _count, skip: _skip, ...rest } = options;
  await convert(new RangeNode(source, Math.min(start, end), size), path, rest);
  return { size, pastEnd: start > end };
}

function check(option: string, value: number, least: number, most: number): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  throw new PlatterError('dd.bad-number', `${option} cannot be ${value}`, {
    option,
    value: String(value),
    expected: `${least} to ${most}`,
  });
}

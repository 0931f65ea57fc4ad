/** Ranges of a disk: the bounds check of every node, and reading from a backing disk that may be shorter. */
import { PlatterError } from '../errors.ts';
import type { Maybe } from '../maybe.ts';
import type { BlockNode } from './node.ts';

/** Throws `block.out-of-range` unless the whole range lies within the disk. */
export function checkRange(node: BlockNode, offset: number, length: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= node.virtualSize && Number.isInteger(offset)) return;
  throw new PlatterError(
    'block.out-of-range',
    `${length} bytes at byte ${offset} of "${node.name}" reach past its end at ${node.virtualSize}`,
    { image: node.name, offset, value: `${length} bytes`, expected: `at most ${node.virtualSize} bytes` },
  );
}

/** The backing disk's bytes; zeroes where it has ended or where there is none. */
export function readOrZero(backing: BlockNode | undefined, offset: number, target: Uint8Array): Maybe<void> {
  const there = shownBy(backing, offset, target.length);
  if (there < target.length) target.fill(0, there);
  if (backing === undefined || there === 0) return;
  return backing.read(offset, there === target.length ? target : target.subarray(0, there));
}

/** How many of `length` bytes at `offset` a backing disk still has. */
export function shownBy(backing: BlockNode | undefined, offset: number, length: number): number {
  return backing === undefined ? 0 : Math.max(0, Math.min(length, backing.virtualSize - offset));
}

/** Reading a damaged image as far as it can be read: what cannot becomes zeroes (`qemu-img convert --salvage`). */
import { run, wait, type Maybe, type Steps } from '../../maybe.ts';
import type { BlockNode } from '../node.ts';

const SECTOR = 512;

/** Reads as `node.read`; ranges that fail are halved down to a sector, and the sectors that fail are told of. */
export function salvagingReader(
  node: BlockNode,
  onUnreadable: (offset: number, length: number, error: unknown) => void,
): (offset: number, target: Uint8Array) => Maybe<void> {
  function* read(offset: number, target: Uint8Array): Steps<void> {
    try {
      yield* wait(node.read(offset, target));
      return;
    } catch (error) {
      if (target.length <= SECTOR) {
        target.fill(0);
        onUnreadable(offset, target.length, error);
        return;
      }
    }
    const half = Math.max(SECTOR, Math.floor(target.length / 2 / SECTOR) * SECTOR);
    yield* read(offset, target.subarray(0, half));
    yield* read(offset + half, target.subarray(half));
  }
  return (offset, target) => run(read(offset, target));
}

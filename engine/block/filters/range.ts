/** A stretch of a disk as a disk of its own, backing chain included: what `dd` copies. */
import { andThen, run, type Maybe } from '../../maybe.ts';
import { extentAt } from '../map.ts';
import type { BlockExtent, BlockNode } from '../node.ts';
import { FilterNode } from './filter.ts';

export class RangeNode extends FilterNode {
  readonly driver = 'range';
  readonly #start: number;
  readonly #length: number;

  /** Bytes `start` to `start + length` of `child`, which must have them. */
  constructor(child: BlockNode, start: number, length: number) {
    super(child);
    this.#start = start;
    this.#length = length;
  }

  override get virtualSize(): number {
    return this.#length;
  }

  override get readOnly(): boolean {
    return true;
  }

  /** What lies below shows through already. */
  override get backing(): undefined {
    return undefined;
  }

  override map(offset: number, length: number): Maybe<BlockExtent> {
    return andThen(run(extentAt(this.child, this.#start + offset, length)), (extent) => {
      const kind = extent.zero ? 'zero' : 'data';
      return { offset, length: extent.length, kind };
    });
  }

  /** `map` has asked already. */
  override holesAre(): undefined {
    return undefined;
  }

  override read(offset: number, target: Uint8Array): Maybe<void> {
    return this.child.read(this.#start + offset, target);
  }

  override close(): void {
    // The disk belongs to whoever made the range.
  }
}

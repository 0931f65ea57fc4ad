/** What a copy does with the next stretch of its source. */
import { andThen, run, type Maybe } from '../../maybe.ts';
import { FormatNode } from '../access.ts';
import { ConcatNode } from '../filters/concat.ts';
import { extentAt } from '../map.ts';
import type { BlockNode } from '../node.ts';

export interface Stretch {
  /** Bytes. */
  length: number;
  /** `skip`: the target shows the same without a word. */
  kind: 'data' | 'zero' | 'skip';
  /** It has to be unpacked, which other threads can do. */
  packed?: boolean;
}

/**
 * The stretch at `offset`. `own`: the target stands on the same backing image, so that only what the source's own layer holds is
 * copied.
 */
export function stretchAt(source: BlockNode, offset: number, length: number, own: boolean): Maybe<Stretch> {
  if (source instanceof ConcatNode) {
    const { node, start, end } = source.nodeAt(offset);
    const there = start + node.virtualSize - offset;
    if (there <= 0) return { length: Math.min(length, end - offset), kind: 'zero' };
    return stretchAt(node, offset - start, Math.min(length, there), own);
  }
  if (own) return ownStretch(source, offset, length);
  return andThen(run(extentAt(source, offset, length)), (extent): Stretch => {
    if (extent.zero) return { length: extent.length, kind: 'zero' };
    const stretch: Stretch = { length: extent.length, kind: 'data' };
    const holder = extent.compressed ? nodeAtDepth(source, extent.depth) : undefined;
    if (holder?.format.readSpecialLater !== undefined) stretch.packed = true;
    return stretch;
  });
}

function ownStretch(source: BlockNode, offset: number, length: number): Maybe<Stretch> {
  return andThen(source.map(offset, length), (extent): Stretch => {
    if (extent.kind === 'unallocated') {
      const shown = offset < (source.backing?.virtualSize ?? 0);
      // Where the source's backing disk has ended there are zeroes, whatever the target's has there.
      if (!shown) return { length: extent.length, kind: 'zero' };
      const end = Math.min(extent.length, (source.backing?.virtualSize ?? 0) - offset);
      return { length: end, kind: 'skip' };
    }
    return { length: extent.length, kind: extent.kind === 'zero' ? 'zero' : 'data' };
  });
}

/** The image of the chain that an extent of that depth comes from. */
export function nodeAtDepth(node: BlockNode | undefined, depth: number): FormatNode | undefined {
  if (depth > 0) return nodeAtDepth(node?.backing, depth - 1);
  return node instanceof FormatNode ? node : undefined;
}

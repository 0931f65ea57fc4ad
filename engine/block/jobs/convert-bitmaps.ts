/** Persistent bitmaps of the source into the target (`qemu-img convert --bitmaps`). */
import { PlatterError } from '../../errors.ts';
import { FormatNode } from '../access.ts';
import type { BlockNode } from '../node.ts';
import { changeBitmap, type BitmapAction } from './bitmap.ts';
import { qcow2State } from './qcow2-state.ts';

export type BitmapCopy = 'all' | 'skip-broken';

/** Checks at once that they can be copied; the answer copies them. Throws `convert.no-bitmaps`, `bitmap.inconsistent`, `block.qcow2-only`. */
export function copyBitmaps(source: BlockNode, target: FormatNode, how: BitmapCopy): () => Promise<void> {
  if (!(source instanceof FormatNode) || source.driver !== 'qcow2') {
    throw new PlatterError('convert.no-bitmaps', `"${source.name}" has no persistent bitmaps to copy`, {
      image: source.name,
      option: 'bitmaps',
      expected: 'one qcow2 image as the source',
    });
  }
  const all = qcow2State(source, 'bitmaps', false).bitmaps ?? [];
  const broken = all.find(({ inUse }) => inUse);
  if (broken !== undefined && how === 'all') {
    throw new PlatterError(
      'bitmap.inconsistent',
      `The bitmap "${broken.name}" was not stored by its last writer: what it says cannot be trusted`,
      {
        image: source.name,
        field: 'bitmap',
        value: broken.name,
        hint: 'Remove it, or leave out what cannot be trusted.',
      },
    );
  }
  qcow2State(target, 'bitmaps');
  const kept = all.filter(({ inUse }) => !inUse);
  return async () => {
    for (const { name, granularityBits, auto } of kept) {
      const actions: BitmapAction[] = [
        { kind: 'add', granularity: 2 ** granularityBits },
        { kind: 'merge', from: name, source },
        { kind: auto ? 'enable' : 'disable' },
      ];
      await changeBitmap(target, name, actions);
    }
  };
}

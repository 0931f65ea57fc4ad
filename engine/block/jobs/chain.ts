/** Images of an open backing chain, and which of them a name means. */
import { dirname, resolve } from 'node:path';
import { FormatNode } from '../access.ts';
import type { BlockNode } from '../node.ts';
import { realPath } from '../references.ts';
import { FileStorage } from '../storage/file.ts';

/** One image of a chain: `depth` 0 is the image that was opened. */
export interface ChainImage {
  depth: number;
  node: FormatNode;
  /** Absolute; undefined for what is no file. */
  path?: string;
}

/** From the image itself down, as far as its backing images are open. */
export function chainOf(top: FormatNode): ChainImage[] {
  const images: ChainImage[] = [];
  for (let node: BlockNode | undefined = top; node instanceof FormatNode; node = node.backing) {
    const { storage } = node.format;
    const path = storage instanceof FileStorage ? realPath(resolve(storage.path)) : undefined;
    images.push({ depth: images.length, node, path });
  }
  return images;
}

/**
 * The backing image that `name` means, as QEMU finds it (bdrv_find_backing_image): the name as it stands in the image above it, or
 * a path that, relative to the folder of the image above it, leads to the same file.
 */
export async function findInChain(
  images: readonly ChainImage[],
  name: string,
): Promise<ChainImage | undefined> {
  for (let depth = 1; depth < images.length; depth++) {
    const above = images[depth - 1];
    const { backingFilename } = await above.node.format.describe();
    if (backingFilename === name) return images[depth];
    if (above.path === undefined || images[depth].path === undefined) continue;
    if (realPath(resolve(dirname(above.path), name)) === images[depth].path) return images[depth];
  }
  return undefined;
}

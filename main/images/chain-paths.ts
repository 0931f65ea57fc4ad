/** The real paths behind what jobs and labs use: an image's own and those of its backing chain. */
import type { ImageInfo } from '#contract/images.ts';
import { realPath, resolveReference } from '#engine/block/references.ts';

/** `path` first, then what it rests on, as far as its information tells. */
export function chainPaths(path: string, info: ImageInfo | undefined): string[] {
  const paths = [realPath(path)];
  for (let layer = info; layer?.backingFilename !== undefined; layer = layer.backing) {
    try {
      paths.push(resolveReference(layer.backingFilename, paths[paths.length - 1], layer.name));
    } catch {
      // It names no plain file: nothing of it is open.
      break;
    }
  }
  return paths;
}

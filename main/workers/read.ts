/** Bytes for the hex view. */
import type { FormatNode } from '#engine/block/access.ts';
import type { Storage } from '#engine/block/storage/storage.ts';
import type { BlockNode } from '#engine/block/node.ts';

/**
 * Bytes of the guest's disk, or of the file that holds the image; fewer at the end, none past it.
 * @param offset bytes
 * @param length bytes
 */
export async function readImage(
  node: FormatNode,
  space: 'guest' | 'host',
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const source: BlockNode | Storage = space === 'guest' ? node : node.format.storage;
  const size = space === 'guest' ? node.virtualSize : await node.format.storage.size();
  const bytes = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
  if (bytes.length > 0) await source.read(offset, bytes);
  return bytes;
}

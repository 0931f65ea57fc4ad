/** What an image's process answers beyond opening: bytes for the hex view, and the check. */
import type { CheckResult } from '#contract/images.ts';
import type { FormatNode } from '#engine/block/access.ts';
import { PlatterError } from '#engine/errors.ts';
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

/** @throws PlatterError `image.no-check` for a format that has nothing to check (qemu-img: "This image format does not support checks") */
export async function checkImage(node: FormatNode): Promise<CheckResult> {
  const result = await node.alone(() => node.format.check?.());
  if (result === undefined) {
    throw new PlatterError(
      'image.no-check',
      `${node.driver} has no tables of its own, so there is nothing to check.`,
      {
        image: node.name,
        value: node.driver,
      },
    );
  }
  return result;
}

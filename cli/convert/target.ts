/** Where a new image may be written: never over what it is made of, never in the place of something that is no file. */
import { realpathSync, statSync } from 'node:fs';
import { FormatNode } from '#engine/block/access.ts';
import { ConcatNode } from '#engine/block/filters/concat.ts';
import type { BlockNode } from '#engine/block/node.ts';
import { FileStorage } from '#engine/block/storage/file.ts';
import { PlatterError } from '#engine/errors.ts';

/**
 * The path to write to: that of the file behind a symbolic link, since the new file takes the old one's name.
 * Throws `cli.same-file`, `cli.target-not-a-file`.
 */
export function targetPath(path: string, source: BlockNode): string {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there === undefined) return path;
  if (!there.isFile()) {
    throw new PlatterError('cli.target-not-a-file', `${path} is there and is no regular file`, {
      image: path,
      hint: 'Name a file that does not exist.',
    });
  }
  if (identities(source).includes(`${there.dev}:${there.ino}`)) {
    throw new PlatterError('cli.same-file', `${path} is what is to be read from`, {
      image: path,
      hint: 'Name another target.',
    });
  }
  return realpathSync(path);
}

/** The files of the chain. */
function identities(node: BlockNode | undefined): string[] {
  if (node instanceof ConcatNode) return node.parts.flatMap(identities);
  if (!(node instanceof FormatNode)) return [];
  const { storage } = node.format;
  return [...(storage instanceof FileStorage ? [storage.identity] : []), ...identities(node.backing)];
}

/** Opening with passphrases, by the real path of each encrypted file. */
import type { ImageInfo } from '#contract/images.ts';
import type { OpenOptions } from '#engine/block/graph.ts';
import { realPath } from '#engine/block/references.ts';
import { PlatterError } from '#engine/errors.ts';
import type { Passphrases } from '../images/keyring.ts';

/** What the engine asks for the passphrases of a chain. */
export function secretFrom(passphrases: Passphrases): OpenOptions['secret'] {
  return (_image, path) => (path === undefined ? undefined : passphrases[realPath(path)]);
}

const WRONG = 'luks.wrong-passphrase';

/** Throws `luks.wrong-passphrase` where one of a chain that opens all the same (`tolerate`) is the reason that it ends early. */
export function refuseWrong(info: ImageInfo): void {
  for (let layer: ImageInfo | undefined = info; layer !== undefined; layer = layer.backing) {
    const error = layer.backingError;
    if (error?.code === WRONG) throw new PlatterError(error.code, error.message, error.context);
  }
}

export function isWrong(error: unknown): boolean {
  return error instanceof PlatterError && error.code === WRONG;
}

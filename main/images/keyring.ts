/** Passphrases of attached images, by the real path of the encrypted file. In memory and nowhere else: nothing stores, logs or shows them. */
import type { ImageInfo } from '#contract/images.ts';

/** By the real path of an encrypted image. */
export type Passphrases = Record<string, string>;

export class Keyring {
  readonly #known = new Map<string, string>();

  give(path: string, passphrase: string): void {
    this.#known.set(path, passphrase);
  }

  forget(path: string): void {
    this.#known.delete(path);
  }

  /** Only those of these files: a process gets no passphrase that it has no use for. */
  of(paths: readonly string[]): Passphrases {
    return Object.fromEntries(
      paths.flatMap((path) => {
        const passphrase = this.#known.get(path);
        return passphrase === undefined ? [] : [[path, passphrase]];
      }),
    );
  }
}

/** The files of a chain that are locked, from the one that the guest sees down. @param chain their paths, as `chainPaths` has them */
export function lockedPaths(chain: readonly string[], info: ImageInfo | undefined): string[] {
  const locked: string[] = [];
  let layer = info;
  for (let depth = 0; layer !== undefined && depth < chain.length; depth++) {
    if (layer.locked === true) locked.push(chain[depth]);
    layer = layer.backing;
  }
  return locked;
}

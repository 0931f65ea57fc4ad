/**
 * File names that stand in images. A name is a plain file name, relative to the image that holds it, and nothing else: never
 * `json:{…}` and never another protocol (CVE-2024-4467).
 */
import { realpathSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import { PlatterError } from '../errors.ts';

/** QEMU's path_has_protocol: a colon before the first slash. A single letter is a drive on Windows. */
const PROTOCOL = /^([A-Za-z][A-Za-z0-9+.-]+):/;

/**
 * The absolute path that `reference` leads to, symbolic links and `..` resolved as far as they exist. Whether the file exists
 * cannot be told from the answer. `base` is the path of the image that holds the reference, undefined when it has none.
 */
export function resolveReference(reference: string, base: string | undefined, image: string): string {
  const plain = plainName(reference, image);
  if (!isAbsolute(plain) && base === undefined) {
    throw new PlatterError(
      'gate.no-base',
      `"${image}" names "${reference}", relative to itself, but it is not a file in a folder`,
      { image, value: reference, hint: 'Give the referenced file by its full path.' },
    );
  }
  const lexical = base === undefined ? plain : resolve(dirname(base), plain);
  return realPath(lexical);
}

/** The canonical path; where parts of it do not exist, the rest is kept as it is. */
export function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    const parent = dirname(path);
    return parent === path
      ? path
      : resolve(realPath(parent), path.slice(parent.length).replace(/^[/\\]+/, ''));
  }
}

function plainName(reference: string, image: string): string {
  if (reference.includes('\0')) throw refused(reference, image, 'contains a NUL byte');
  if (reference === '') throw refused(reference, image, 'is empty');
  const protocol = PROTOCOL.exec(reference)?.[1]?.toLowerCase();
  if (protocol === undefined) return reference;
  if (protocol === 'file' && !reference.startsWith('file://')) return reference.slice('file:'.length);
  throw refused(reference, image, `asks for the protocol "${protocol}"`);
}

function refused(reference: string, image: string, why: string): PlatterError {
  return new PlatterError('gate.not-a-file-name', `"${image}" names "${reference}", which ${why}`, {
    image,
    value: reference,
    expected: 'a plain file name',
    hint: 'Only plain file names are followed: open that file yourself.',
  });
}

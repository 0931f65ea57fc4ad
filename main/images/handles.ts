/** Opaque handles: the page names files by them and never learns a path. */
import { randomBytes } from 'node:crypto';
import { PlatterError } from '#engine/errors.ts';

/** A name that nobody can guess: `img-`, `lab-`, `dst-` or `job-` and 64 random bits in hexadecimal (the form that the contract asks for). */
export function newHandle(kind: 'img' | 'lab' | 'dst' | 'job'): string {
  return `${kind}-${randomBytes(8).toString('hex')}`;
}

/** Handle ⇄ absolute path, one to one. A handle is never used again, even for the same file. */
export class Handles {
  readonly #paths = new Map<string, string>();
  readonly #handles = new Map<string, string>();

  /** The handle of this path; the one it already has while it is attached. */
  give(path: string): string {
    const known = this.#handles.get(path);
    if (known !== undefined) return known;
    const handle = newHandle('img');
    this.#paths.set(handle, path);
    this.#handles.set(path, handle);
    return handle;
  }

  /** @throws PlatterError `image.unknown-handle` */
  path(handle: string): string {
    const path = this.#paths.get(handle);
    if (path === undefined) {
      throw new PlatterError(
        'image.unknown-handle',
        'This image is not attached any more. Attach it again.',
        {
          value: handle,
        },
      );
    }
    return path;
  }

  /** Whether this path has a handle. */
  has(path: string): boolean {
    return this.#handles.has(path);
  }

  forget(handle: string): void {
    const path = this.#paths.get(handle);
    if (path !== undefined) this.#handles.delete(path);
    this.#paths.delete(handle);
  }
}

/** The further files of an image that consists of several: made beside it, removed again when the job fails, opened without asking. */
import { rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { CreateFiles } from '../format.ts';
import type { Gate } from '../gate.ts';
import { realPath, resolveReference } from '../references.ts';
import { openFile, type FileStorage } from '../storage/file.ts';

export class Siblings implements CreateFiles {
  readonly name: string;
  /** Allows what was made here; for everything else it asks the other gate, where there is one. */
  readonly gate: Gate;
  readonly #path: string;
  readonly #made: string[] = [];

  /** `path`: what the image will be called. */
  constructor(path: string, other?: Gate) {
    this.name = basename(path);
    this.#path = path;
    this.gate = {
      allow: (request) => this.#made.includes(request.resolved) || (other?.allow(request) ?? false),
    };
  }

  create(name: string): FileStorage {
    return this.#create(join(dirname(this.#path), basename(name)));
  }

  /** An external data file of `size` bytes, where the image's reference to it leads. Throws `storage.exists`. */
  createData(reference: string, size: number): void {
    const storage = this.#create(resolveReference(reference, this.#path, this.name));
    try {
      storage.truncate(size);
    } finally {
      storage.close();
    }
  }

  discard(): void {
    for (const path of this.#made) rmSync(path, { force: true });
  }

  #create(path: string): FileStorage {
    const storage = openFile(path, { create: true });
    this.#made.push(realPath(path));
    return storage;
  }
}

/** The further files of an image that consists of several: made beside it, removed again when the job fails, opened without asking. */
import { rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { CreateFiles } from '../format.ts';
import type { Gate } from '../gate.ts';
import { realPath } from '../references.ts';
import { openFile, type FileStorage } from '../storage/file.ts';

export class Siblings implements CreateFiles {
  readonly name: string;
  /** Allows what was made here, and nothing else. */
  readonly gate: Gate;
  readonly #folder: string;
  readonly #made: string[] = [];

  /** `path`: what the image will be called. */
  constructor(path: string) {
    this.name = basename(path);
    this.#folder = dirname(path);
    this.gate = { allow: ({ resolved }) => this.#made.includes(resolved) };
  }

  create(name: string): FileStorage {
    const path = join(this.#folder, basename(name));
    const storage = openFile(path, { create: true });
    this.#made.push(realPath(path));
    return storage;
  }

  discard(): void {
    for (const path of this.#made) rmSync(path, { force: true });
  }
}

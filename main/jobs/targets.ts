/** Destinations that the person chose: opaque handles of files that need not exist yet. */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import type { TargetFile, TargetHandle } from '#contract/jobs.ts';
import { PlatterError } from '#engine/errors.ts';
import { newHandle } from '../images/handles.ts';
import { displayFolder } from '../images/where.ts';

export class Targets {
  readonly #home: string;
  readonly #paths = new Map<TargetHandle, string>();

  constructor(home: string) {
    this.#home = home;
  }

  give(path: string): TargetFile {
    const known = [...this.#paths].find(([, one]) => one === path)?.[0];
    const handle = known ?? newHandle('dst');
    this.#paths.set(handle, path);
    return {
      handle,
      name: basename(path),
      where: displayFolder(path, this.#home),
      exists: statSync(path, { throwIfNoEntry: false }) !== undefined,
    };
  }

  has(handle: string): boolean {
    return this.#paths.has(handle);
  }

  /** @throws PlatterError `job.unknown-target` */
  path(handle: TargetHandle): string {
    const path = this.#paths.get(handle);
    if (path !== undefined) return path;
    throw new PlatterError('job.unknown-target', 'The destination is not known any more. Choose it again.', {
      value: handle,
    });
  }
}

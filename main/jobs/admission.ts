/** Whether a job may begin: one writer for every file, and no file replaced that nobody agreed to lose. */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import type { ImageHandle } from '#contract/images.ts';
import type { JobRequest } from '#contract/jobs.ts';
import { realPath } from '#engine/block/references.ts';
import { PlatterError } from '#engine/errors.ts';
import { conflict, type UsedPaths } from './conflicts.ts';
import { filesOf } from './files.ts';

export interface Places {
  path(handle: string): string;
  /** Real paths of an attached image and what it rests on; throws for one that is not attached. */
  chain(handle: ImageHandle): string[];
}

export function usedBy(request: JobRequest, places: Places): UsedPaths {
  const { reads, writes, writesBacking, target } = filesOf(request);
  const chains = writes.flatMap((handle) => places.chain(handle));
  const written = writes.flatMap((handle) => places.chain(handle).slice(0, writesBacking ? 2 : 1));
  return {
    reads: [
      ...reads.flatMap((handle) => places.chain(handle)),
      ...chains.filter((path) => !written.includes(path)),
    ],
    writes: [...written, ...(target === undefined ? [] : [realPath(places.path(target))])],
  };
}

/** The paths of images that something else uses. One that was detached meanwhile is not known any more. */
export function imagesInUse(
  uses: readonly ImageHandle[],
  writes: readonly ImageHandle[],
  places: Places,
): UsedPaths {
  const chain = (handle: ImageHandle): string[] => {
    try {
      return places.chain(handle);
    } catch {
      return [];
    }
  };
  return { reads: uses.flatMap(chain), writes: writes.flatMap((handle) => chain(handle).slice(0, 1)) };
}

/** Throws `job.image-in-lab` or `job.image-in-job`, naming the image. */
export function refuseOthers(mine: UsedPaths, others: readonly UsedPaths[], by: 'lab' | 'job'): void {
  const path = others.map((theirs) => conflict(mine, theirs)).find((found) => found !== undefined);
  if (path === undefined) return;
  const image = basename(path);
  throw by === 'lab'
    ? new PlatterError('job.image-in-lab', `${image} is used by an open lab. Close the lab first.`, { image })
    : new PlatterError('job.image-in-job', `${image} is used by a job that is running. Wait for its end.`, {
        image,
      });
}

/** Throws `job.target-not-a-file`, `job.same-file`, `job.target-exists`. */
export function refuseTarget(request: JobRequest, used: UsedPaths, places: Places): void {
  const { target } = filesOf(request);
  if (target === undefined) return;
  const path = places.path(target);
  const image = basename(path);
  const there = statSync(path, { throwIfNoEntry: false });
  if (there !== undefined && !there.isFile()) {
    throw new PlatterError('job.target-not-a-file', `${image} is there and is no regular file.`, { image });
  }
  if (used.reads.includes(realPath(path))) {
    throw new PlatterError('job.same-file', `${image} is what is to be read from.`, { image });
  }
  if (there !== undefined && !('overwrite' in request && request.overwrite)) {
    throw new PlatterError('job.target-exists', `${image} is there already.`, { image });
  }
}

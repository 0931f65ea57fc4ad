/** Does one job, in the job's own process. */
import type { JobKind, JobOf, JobResult } from '#contract/jobs.ts';
import { PlatterError } from '#engine/errors.ts';
import { runBitmap, runCheck, runResize, runSnapshot } from './changes.ts';
import { runCommit, runRebase } from './chain.ts';
import { runChecksum, runCompare, runMeasure } from './looks.ts';
import { runConvert, runCopy, runCreate } from './new-images.ts';
import type { JobTools, Runner } from './tools.ts';

const RUNNERS: { [K in JobKind]?: Runner<K> } = {
  convert: runConvert,
  create: runCreate,
  resize: runResize,
  check: runCheck,
  snapshot: runSnapshot,
  bitmap: runBitmap,
  compare: runCompare,
  commit: runCommit,
  rebase: runRebase,
  measure: runMeasure,
  checksum: runChecksum,
  copy: runCopy,
};

export function runJob<K extends JobKind>(request: JobOf<K>, tools: JobTools): Promise<JobResult> {
  const runner = RUNNERS[request.kind];
  if (runner === undefined) return Promise.reject(new PlatterError('internal', request.kind));
  return runner(request, tools);
}

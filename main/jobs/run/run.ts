/** Does one job, in the job's own process. */
import type { JobKind, JobOf, JobResult } from '#contract/jobs.ts';
import { runCommit, runRebase } from './chain.ts';
import { runAmend, runBitmap, runCheck, runResize, runSnapshot } from './changes.ts';
import { runChecksum, runCompare, runMeasure } from './looks.ts';
import { runConvert, runCopy, runCreate } from './new-images.ts';
import type { JobTools, Runner } from './tools.ts';

const RUNNERS: { [K in JobKind]: Runner<K> } = {
  convert: runConvert,
  create: runCreate,
  copy: runCopy,
  resize: runResize,
  check: runCheck,
  snapshot: runSnapshot,
  bitmap: runBitmap,
  amend: runAmend,
  commit: runCommit,
  rebase: runRebase,
  compare: runCompare,
  measure: runMeasure,
  checksum: runChecksum,
};

export function runJob<K extends JobKind>(request: JobOf<K>, tools: JobTools): Promise<JobResult> {
  return RUNNERS[request.kind](request, tools);
}

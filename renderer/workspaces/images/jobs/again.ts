/** A past job once more: its form, filled in as it was, for the person to look at and start. */
import type { JobId } from '#contract/jobs.ts';
import { useJobsStore } from '../../../stores/jobs.ts';
import { useNavigationStore } from '../../../stores/navigation.ts';
import { viewOf } from '../view.ts';
import { imageOf, NO_IMAGE, takeAgain } from './drafts.ts';
import { isListed } from './kinds.ts';

export async function runAgain(id: JobId): Promise<void> {
  const jobs = useJobsStore();
  const again = await jobs.again(id);
  if (again === undefined) return;
  takeAgain(again);
  jobs.panelOpen = false;
  const image = imageOf(again.request);
  if (image === NO_IMAGE) {
    jobs.createOpen = true;
    return;
  }
  const { kind } = again.request;
  if (again.request.kind === 'amend' && again.request.keys !== undefined) viewOf(image).job = 'keys';
  else if (isListed(kind)) viewOf(image).job = kind;
  const view = kind === 'snapshot' ? 'snapshots' : 'jobs';
  useNavigationStore().go({ workspace: 'images', object: { kind: 'image', id: image }, view });
}

/** The jobs: running ones with their progress, past ones, and the requests that the page makes of main. */
import { defineStore } from 'pinia';
import { computed, ref } from 'vue';
import type { ImageHandle } from '#contract/images.ts';
import type { JobAgain, JobId, JobRequest, JobRow, TargetFile } from '#contract/jobs.ts';
import type { JobSecrets } from '#contract/secrets.ts';
import { platter } from '../lib/platter.ts';
import { useAppStore } from './app.ts';

export const isRunning = ({ state }: JobRow): boolean => state === 'running' || state === 'cancelling';

export const useJobsStore = defineStore('jobs', () => {
  const app = useAppStore();
  const rows = ref<JobRow[]>([]);
  /** The list of all jobs, over whatever is on the screen. */
  const panelOpen = ref(false);
  /** The form of a new image. */
  const createOpen = ref(false);
  const running = computed(() => rows.value.filter(isRunning));
  /** 0 to 1 over all running jobs whose size is known; null when none is. */
  const fraction = computed(() => {
    const parts = running.value.flatMap(({ progress }) =>
      progress === undefined || progress.total === 0 ? [] : [progress.done / progress.total],
    );
    return parts.length === 0 ? null : parts.reduce((sum, part) => sum + part, 0) / parts.length;
  });

  const job = (id: JobId | null): JobRow | null => rows.value.find((row) => row.id === id) ?? null;

  /** @throws CallError when it cannot begin */
  const start = (request: JobRequest, secrets: JobSecrets): Promise<JobId> =>
    platter.call('jobs.start', request, secrets);

  const cancel = (id: JobId) => guarded(platter.call('jobs.cancel', id));
  const forget = (id: JobId | null) => guarded(platter.call('jobs.forget', id));
  const copyCommand = (request: JobRequest) => guarded(platter.call('jobs.copyCommand', request));
  const again = (id: JobId): Promise<JobAgain | undefined> => guarded(platter.call('jobs.again', id));

  /** Asks where a new image goes; null when the dialog was cancelled. */
  async function pickTarget(
    beside: ImageHandle | null,
    name: string,
    format: string,
  ): Promise<TargetFile | null> {
    return (await guarded(platter.call('jobs.pickTarget', beside, name, format))) ?? null;
  }

  async function guarded<T>(answer: Promise<T>): Promise<T | undefined> {
    try {
      return await answer;
    } catch (error) {
      app.report(error);
      return undefined;
    }
  }

  function begin(): void {
    platter.on('jobs.changed', (next) => (rows.value = next));
    platter.on('jobs.progress', ({ id, progress }) => {
      const row = rows.value.find((one) => one.id === id);
      if (row !== undefined && isRunning(row)) row.progress = progress;
    });
    void guarded(platter.call('jobs.list').then((list) => (rows.value = list)));
  }

  return {
    rows,
    running,
    fraction,
    panelOpen,
    createOpen,
    job,
    start,
    cancel,
    forget,
    copyCommand,
    again,
    pickTarget,
    begin,
  };
});

/** All running jobs as one bar on the taskbar, and as a word to a person who looks elsewhere. Pure. */
import type { JobRow } from '#contract/jobs.ts';

/** 0 to 1; 2 while nobody knows (Electron's sign for that); -1 when no job runs. */
export function taskbarFraction(rows: readonly JobRow[]): number {
  const running = rows.filter(({ state }) => state === 'running' || state === 'cancelling');
  if (running.length === 0) return -1;
  const known = running.flatMap(({ progress }) =>
    progress === undefined || progress.total === 0 ? [] : [progress.done / progress.total],
  );
  if (known.length === 0) return 2;
  return known.reduce((sum, part) => sum + part, 0) / known.length;
}

/** A word from the system when a job ends while the person looks elsewhere. */
import { Notification } from 'electron';
import type { JobRow } from '#contract/jobs.ts';
import type { MainWindow } from '../window/window.ts';

/** A job that ended sooner than this needs no word: whoever started it is still there. Milliseconds. */
const SOON = 2000;

/** @param text looks up keys of `menu.json` */
export function tellEnd(row: JobRow, window: MainWindow, text: (key: string) => string): void {
  if (row.state === 'cancelled' || (row.took ?? 0) < SOON) return;
  if (window.electron?.isFocused() === true || !Notification.isSupported()) return;
  const notification = new Notification({
    title: text(`job.${row.state}`),
    body: `${text(`job.kind.${row.request.kind}`)}: ${Object.values(row.names).join(' → ')}`,
  });
  notification.on('click', () => {
    window.show();
    window.send('command', 'jobs.show');
  });
  notification.show();
}

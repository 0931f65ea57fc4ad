/** Closing the application stops its jobs: asked before it happens. */
import { app, dialog, type BrowserWindow } from 'electron';
import type { Jobs } from './jobs.ts';

let quitting = false;
app.on('before-quit', () => {
  quitting = true;
});

/** Whether the window may close now. On macOS the application, and its jobs with it, goes on without a window. */
export function mayStopJobs(
  jobs: Jobs,
  window: BrowserWindow | undefined,
  text: (key: string) => string,
): boolean {
  const goesOn = process.platform === 'darwin' && !quitting;
  if (goesOn || !jobs.busy) return true;
  const options: Electron.MessageBoxSyncOptions = {
    type: 'question',
    message: text('dialog.stop.message'),
    detail: text('dialog.stop.detail'),
    buttons: [text('dialog.stop.no'), text('dialog.stop.yes')],
    defaultId: 0,
    cancelId: 0,
    noLink: true,
  };
  const answer =
    window === undefined ? dialog.showMessageBoxSync(options) : dialog.showMessageBoxSync(window, options);
  if (answer === 0) quitting = false;
  return answer === 1;
}

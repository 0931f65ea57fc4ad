/** One Platter for each data folder: a second start hands its files to the first and ends. */
import { app } from 'electron';

/** @returns whether this is the first; if not, the caller quits. */
export function claimInstance(files: string[]): boolean {
  // The files travel absolute: the second one's working directory is not ours.
  return app.requestSingleInstanceLock({ files });
}

/** Calls `attach` with the files of later starts and of macOS's `open-file`, `show` to bring the window forward. */
export function onFilesFromOutside(attach: (files: string[]) => void, show: () => void): void {
  app.on('second-instance', (_event, _argv, _cwd, data) => {
    show();
    attach(filesOf(data));
  });
  app.on('open-file', (event, path) => {
    event.preventDefault();
    show();
    attach([path]);
  });
}

/** What another process of the same user sent is data to be checked like any other. */
function filesOf(data: unknown): string[] {
  if (typeof data !== 'object' || data === null || !('files' in data) || !Array.isArray(data.files))
    return [];
  return data.files.filter((file): file is string => typeof file === 'string');
}

/** Where settings, the session and samples are kept: `--user-data-dir=` or the platform's folder. Before `ready`. */
import { mkdirSync } from 'node:fs';
import { app } from 'electron';

export function chooseUserData(folder: string | undefined): void {
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  app.setPath('userData', folder);
}

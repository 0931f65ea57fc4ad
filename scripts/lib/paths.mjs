/** Where things are. */
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root, absolute. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** Where runtimes that are too large for the repository are kept: `platter` below the user's cache folder (XDG). */
export function cacheDir(env = process.env) {
  // The specification says that a relative XDG_CACHE_HOME is to be ignored.
  const xdg = env.XDG_CACHE_HOME;
  return join(xdg !== undefined && xdg.startsWith('/') ? xdg : join(homedir(), '.cache'), 'platter');
}

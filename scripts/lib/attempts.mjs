/** Attempts that failed are remembered for a day in the cache folder, with the reason, so that the next runs do not wait again. */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheDir } from './paths.mjs';

/** How long a failed attempt is remembered. */
const RETRY_MS = 24 * 60 * 60 * 1000;

/** @param {string} name a file name */
const fileOf = (name) => join(cacheDir(), name);

/**
 * Why the attempt failed, or undefined when it did not within the last day.
 * @param {string} name
 * @param {number} [now] milliseconds since 1970
 */
export function failedLately(name, now = Date.now()) {
  const file = fileOf(name);
  if (!existsSync(file) || now - statSync(file).mtimeMs >= RETRY_MS) return undefined;
  return readFileSync(file, 'utf8');
}

/** @param {string} name @param {string} reason */
export function rememberFailure(name, reason) {
  const file = fileOf(name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, reason);
}

/** @param {string} name */
export function forgetFailure(name) {
  rmSync(fileOf(name), { force: true });
}

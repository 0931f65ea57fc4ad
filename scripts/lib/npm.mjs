/** The npm packages of the lock file: installed when they are not there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './paths.mjs';
import { run, say } from './run.mjs';

/**
 * @typedef {{ version?: string, optional?: boolean, link?: boolean }} LockEntry
 * @typedef {{ packages?: Record<string, LockEntry> }} Lock
 */

/**
 * What differs between the lock file and what npm says it installed (its hidden lock file, which npm writes last, so that an
 * interrupted installation has none). Empty when all is as locked; packages for other platforms may be absent.
 * @param {Lock} lock
 * @param {Lock} installed
 * @returns {string[]} folders below the root, e.g. `node_modules/vue`
 */
export function differences(lock, installed) {
  const found = installed.packages ?? {};
  const names = [];
  for (const [folder, entry] of Object.entries(lock.packages ?? {})) {
    if (folder === '' || entry.link === true) continue;
    const there = found[folder];
    if (there === undefined ? entry.optional !== true : there.version !== entry.version) names.push(folder);
  }
  return names;
}

/** Runs `npm ci` unless `node_modules` is as the lock file wants it. */
export function ensurePackages() {
  const hidden = join(root, 'node_modules/.package-lock.json');
  if (existsSync(hidden)) {
    const missing = differences(readJson(join(root, 'package-lock.json')), readJson(hidden));
    if (missing.length === 0) return;
    say(`node_modules differs from package-lock.json (${missing.slice(0, 3).join(', ')}…): npm ci`);
  } else {
    say('installing the npm packages of package-lock.json: npm ci');
  }
  run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'], {
    stdio: ['ignore', 2, 2],
  });
}

/** @returns {Lock} */
function readJson(/** @type {string} */ file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

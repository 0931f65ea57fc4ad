/** Building only what changed: each part has a stamp in `out/` made of the names, sizes and times of what it is built from. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './paths.mjs';
import { Failure, capture, run, say } from './run.mjs';

/**
 * @typedef {object} Part
 * @property {string} name
 * @property {string} product a file that the build makes last
 * @property {string[]} sources folders and files below the root
 * @property {string[]} command program of node_modules/.bin and its arguments
 */

/** @type {Part} */
export const app = {
  name: 'app',
  product: 'out/renderer/index.html',
  sources: ['main', 'preload', 'renderer', 'contract', 'engine', 'resources', 'electron.vite.config.ts'],
  command: ['electron-vite', 'build', '--logLevel', 'warn'],
};

/** @type {Part} */
export const cli = {
  name: 'cli',
  product: 'out/cli/platter.mjs',
  sources: ['cli', 'contract', 'engine', 'resources', 'vite.cli.config.ts'],
  command: ['vite', 'build', '--config', 'vite.cli.config.ts'],
};

/** Whatever the sources are, these matter too. */
const ALWAYS = ['package.json', 'package-lock.json', 'tsconfig.base.json'];

/**
 * Builds a part when its sources changed since the last time. `quiet`: prints nothing unless it fails.
 * @param {Part} part
 * @param {{ quiet?: boolean }} [options]
 */
export function ensureBuilt(part, options = {}) {
  const stampFile = join(root, 'out', `.stamp-${part.name}`);
  // Taken before the build: a source that changes meanwhile makes the next call build again.
  const stamp = sourceStamp(root, [...part.sources, ...ALWAYS]);
  const fresh = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp;
  if (fresh && existsSync(join(root, part.product))) return;
  if (options.quiet !== true) say(`building ${part.name}`);
  rmSync(stampFile, { force: true });
  const [program, ...args] = part.command;
  const file = join(root, 'node_modules/.bin', program);
  if (options.quiet === true) capture(file, args);
  else run(file, args, { stdio: ['ignore', 2, 2] });
  if (!existsSync(join(root, part.product)))
    throw new Failure(`the build of ${part.name} made no ${part.product}`);
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, stamp);
}

/**
 * A digest of the names, sizes and modification times of all files in `sources`; tests are left out, since nothing is built of them.
 * @param {string} folder
 * @param {string[]} sources
 */
export function sourceStamp(folder, sources) {
  const hash = createHash('sha256');
  for (const source of sources) addPath(hash, folder, source);
  return hash.digest('hex');
}

/**
 * @param {import('node:crypto').Hash} hash
 * @param {string} folder
 * @param {string} path
 */
function addPath(hash, folder, path) {
  const stat = statSync(join(folder, path), { throwIfNoEntry: false });
  if (stat === undefined) {
    hash.update(`${path}\0absent\n`);
  } else if (stat.isDirectory()) {
    for (const name of readdirSync(join(folder, path)).toSorted()) addPath(hash, folder, `${path}/${name}`);
  } else if (!path.endsWith('.test.ts')) {
    hash.update(`${path}\0${stat.size}\0${stat.mtimeMs}\n`);
  }
}

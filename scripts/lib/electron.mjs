/**
 * The Electron runtime: the official one that package.json pins, and where its download cannot be reached the substitute.
 * Both stay where they are once they are there; the environment variable ELECTRON_OVERRIDE_DIST_PATH (the `electron` package's own) names another.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { failedLately, forgetFailure, rememberFailure } from './attempts.mjs';
import { root } from './paths.mjs';
import { Failure, capture, runStatus, say } from './run.mjs';
import { ensureSubstitute, hasSubstitute } from './substitute.mjs';

/** How long the download's host may take to answer before the substitute is taken. */
const REACH_MS = 4000;
/** How long the official download may take as a whole (about 120 MB). */
const DOWNLOAD_MS = 10 * 60 * 1000;

/**
 * @typedef {object} Runtime
 * @property {string} folder holds the executable and its libraries
 * @property {string} executable
 * @property {string} version e.g. `45.4.1`
 * @property {'official' | 'substitute' | 'chosen'} kind
 */

/** The version of Electron that package.json pins. */
export function pinnedVersion() {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies.electron;
}

/** @returns {Promise<Runtime>} */
export async function ensureElectron() {
  const chosen = process.env.ELECTRON_OVERRIDE_DIST_PATH;
  if (chosen) return runtimeAt(chosen, 'chosen');
  const official = join(root, 'node_modules/electron/dist');
  if (installedVersion(official) === pinnedVersion()) return runtimeAt(official, 'official');
  if (await download()) return runtimeAt(official, 'official');
  if (!hasSubstitute()) {
    throw new Failure(
      `Electron ${pinnedVersion()} could not be downloaded and there is no substitute for ${process.platform}-${process.arch}; ` +
        'name a folder that holds an Electron in ELECTRON_OVERRIDE_DIST_PATH, or a mirror in ELECTRON_MIRROR',
    );
  }
  return runtimeAt(await ensureSubstitute(), 'substitute');
}

/**
 * What programs need in their environment to use the runtime: the `electron` package, Playwright and electron-vite. As root
 * Chromium's sandbox cannot be used and is left out; everybody else keeps it.
 * @param {Runtime} runtime
 * @param {number} [uid]
 * @returns {Record<string, string>}
 */
export function runtimeEnv(runtime, uid = process.getuid?.()) {
  return {
    ELECTRON_OVERRIDE_DIST_PATH: runtime.folder,
    ELECTRON_EXEC_PATH: runtime.executable,
    ...(uid === 0 ? { ELECTRON_DISABLE_SANDBOX: '1' } : {}),
  };
}

/** One line that says which runtime this is. */
export function describe(/** @type {Runtime} */ runtime) {
  const kinds = {
    official: `Electron ${runtime.version}, the official one`,
    substitute: `Electron ${runtime.version}, the substitute (package.json pins ${pinnedVersion()})`,
    chosen: `Electron ${runtime.version} of ELECTRON_OVERRIDE_DIST_PATH`,
  };
  return `${kinds[runtime.kind]}, in ${runtime.folder}`;
}

/** Throws a Failure that names the shared libraries which the runtime misses on this system. */
export function requireLibraries(/** @type {Runtime} */ runtime) {
  if (process.platform !== 'linux') return;
  const missing = missingLibraries(capture('ldd', [runtime.executable]));
  if (missing.length > 0) {
    throw new Failure(
      `Electron cannot start: this system has no ${missing.join(', ')}; install the packages that hold them`,
    );
  }
}

/** The libraries that `ldd` did not find. */
export function missingLibraries(/** @type {string} */ ldd) {
  return [...ldd.matchAll(/^\s*(\S+) => not found$/gm)].map((match) => match[1]);
}

/**
 * @param {string} folder
 * @param {Runtime['kind']} kind
 * @returns {Runtime}
 */
function runtimeAt(folder, kind) {
  const names = { darwin: 'Electron.app/Contents/MacOS/Electron', win32: 'electron.exe' };
  const executable = join(folder, names[/** @type {keyof typeof names} */ (process.platform)] ?? 'electron');
  const version = installedVersion(folder);
  if (version === undefined || !existsSync(executable)) throw new Failure(`${folder}: holds no Electron`);
  return { folder, executable, version, kind };
}

/** @param {string} folder */
function installedVersion(folder) {
  const file = join(folder, 'version');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().replace(/^v/, '') : undefined;
}

/** Downloads the official Electron through its own package; answers whether it is there now. */
async function download() {
  const failed = `electron-${pinnedVersion()}-unreachable`;
  if (process.env.ELECTRON_MIRROR === undefined && failedLately(failed) !== undefined) return false;
  const reason = await whyUnreachable(downloadUrl());
  if (reason === undefined) {
    say(`downloading Electron ${pinnedVersion()}`);
    const env = { ...process.env, ELECTRON_GET_USE_PROXY: '1' };
    const args = [join(root, 'node_modules/electron/install.js')];
    if (runStatus(process.execPath, args, { env, timeout: DOWNLOAD_MS, stdio: ['ignore', 2, 2] }) === 0) {
      forgetFailure(failed);
      return true;
    }
    say(`the download of Electron ${pinnedVersion()} failed`);
  } else {
    say(`the download of Electron ${pinnedVersion()} cannot be reached (${reason}); tried again after a day`);
  }
  rememberFailure(failed, reason ?? 'the download failed');
  return false;
}

/** Where the `electron` package downloads from (`@electron/get`). */
export function downloadUrl(env = process.env, version = pinnedVersion()) {
  const mirror = env.ELECTRON_MIRROR ?? 'https://github.com/electron/electron/releases/download/';
  return `${mirror}v${version}/SHASUMS256.txt`;
}

/**
 * Why a URL cannot be had, or undefined when it can. With a proxy configured nobody can tell without trying.
 * @param {string} url
 * @param {Record<string, string | undefined>} [env]
 */
export async function whyUnreachable(url, env = process.env) {
  if (env.HTTPS_PROXY ?? env.https_proxy) return undefined;
  try {
    const answer = await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(REACH_MS) });
    return answer.ok ? undefined : `${new URL(url).host} answers ${answer.status}`;
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return cause instanceof Error ? cause.message : String(cause);
  }
}

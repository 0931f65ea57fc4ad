/**
 * QEMU's sample images (`tests/qemu-iotests/sample_images`), made by the programs whose formats they are. Their licence is QEMU's, so
 * they are not in this repository: on a Debian-like system they are taken once out of the source package into the cache folder.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { failedLately, forgetFailure, rememberFailure } from './attempts.mjs';
import { cacheDir } from './paths.mjs';
import { Failure, capture, say, which } from './run.mjs';
import { ensureSystem, forSamples } from './system.mjs';

/** Raised when the way of unpacking changes, so that an older folder is not used. */
const NAME = 'qemu-sample-images-1';
const FAILED = `${NAME}-unavailable`;
const INSIDE = 'tests/qemu-iotests/sample_images';
/** How long one step of apt may take. */
const APT_MS = 120_000;

/** Where the images are, unpacked, or will be. */
export function samplesDir() {
  return join(cacheDir(), NAME);
}

/** Why there are no sample images, or undefined when they are there. */
export function samplesMissing() {
  if (existsSync(samplesDir())) return undefined;
  return failedLately(FAILED) ?? 'they have not been fetched yet: npm test does that once';
}

/** Brings the images into the cache folder unless they are there. Where that cannot be, it says why, and tests go without. */
export function ensureSamples() {
  if (existsSync(samplesDir()) || failedLately(FAILED) !== undefined) return;
  try {
    if (process.platform !== 'linux' || which('apt-get') === undefined)
      throw new Failure('they come out of a Debian source package, and there is no apt-get here');
    ensureSystem(forSamples);
    bring();
    forgetFailure(FAILED);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    say(`QEMU's sample images cannot be had (tried again after a day): ${error.message}`);
    rememberFailure(FAILED, error.message);
  }
}

function bring() {
  const folder = samplesDir();
  say(`bringing QEMU's sample images out of its source package (34 MB, once) to ${folder}`);
  mkdirSync(dirname(folder), { recursive: true });
  const work = mkdtempSync(join(dirname(folder), 'samples-'));
  try {
    download(work);
    const tar = readdirSync(work).find((name) => /^qemu_.*\.orig\.tar\.\w+$/.test(name));
    if (tar === undefined) throw new Failure('apt-get source qemu brought no qemu_….orig.tar');
    const packed = join(work, 'packed');
    const images = join(work, 'images');
    for (const made of [packed, images]) mkdirSync(made);
    const only = ['--wildcards', '--strip-components=4', `*/${INSIDE}`];
    capture('tar', ['-xf', join(work, tar), '-C', packed, ...only]);
    for (const name of readdirSync(packed)) unpack(join(packed, name), images);
    rmSync(folder, { recursive: true, force: true });
    // The last step, and an atomic one: a folder under the final name is complete.
    renameSync(images, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The source package's tar alone, into `work`; apt has verified it. The system's own lists and sources stay as they are. */
function download(/** @type {string} */ work) {
  const parts = join(work, 'sources.list.d');
  for (const folder of [parts, join(work, 'lists'), join(work, 'cache')]) mkdirSync(folder);
  for (const { name, text } of sourcesOf('/etc/apt')) writeFileSync(join(parts, name), text);
  const options = ['-qq', ...aptOptions(work, process.getuid?.() === 0)];
  const settings = { cwd: work, timeout: APT_MS };
  capture('apt-get', [...options, 'update'], settings);
  capture('apt-get', [...options, 'source', '--download-only', '--tar-only', 'qemu'], settings);
}

/**
 * @param {string} work
 * @param {boolean} root
 */
function aptOptions(work, root) {
  const settings = [
    'Dir::Etc::SourceList=/dev/null',
    `Dir::Etc::SourceParts=${join(work, 'sources.list.d')}`,
    `Dir::State::Lists=${join(work, 'lists')}`,
    `Dir::Cache=${join(work, 'cache')}`,
    'Acquire::http::Timeout=15',
    'Acquire::https::Timeout=15',
    'Acquire::Retries=1',
  ];
  // Its user without rights cannot write into a folder below root's home.
  if (root) settings.push('APT::Sandbox::User=root');
  return settings.flatMap((setting) => ['-o', setting]);
}

/**
 * The files of `sources.list` and `sources.list.d`, each asking for source packages where the system asks for programs.
 * @param {string} etc
 */
export function sourcesOf(etc) {
  const parts = join(etc, 'sources.list.d');
  const files = existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : [];
  return [join(etc, 'sources.list'), ...files]
    .filter((file) => /\.(?:list|sources)$/.test(file) && existsSync(file))
    .map((file) => ({ name: basename(file), text: asSources(file, readFileSync(file, 'utf8')) }));
}

/**
 * One file of apt's (sources.list(5)) with `deb-src` instead of `deb`; entries that are switched off stay so.
 * @param {string} name its ending tells which of the two notations it is
 * @param {string} text
 */
export function asSources(name, text) {
  if (name.endsWith('.sources')) return text.replace(/^Types:.*$/gim, 'Types: deb-src');
  const lines = text.split('\n').filter((line) => /^\s*deb\s/.test(line));
  return lines.map((line) => `${line.replace(/^\s*deb/, 'deb-src')}\n`).join('');
}

/** @param {string} file @param {string} into */
function unpack(file, into) {
  if (!file.endsWith('.bz2')) return;
  capture('bzip2', ['-d', file]);
  const plain = file.slice(0, -'.bz2'.length);
  // Most of them are large and all but empty: the cache holds them with holes.
  capture('cp', ['--sparse=always', plain, join(into, basename(plain))]);
  rmSync(plain);
}

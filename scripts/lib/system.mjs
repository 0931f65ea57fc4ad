/**
 * What has to come from the operating system: installed as root on a Debian-like one, named with the exact command elsewhere.
 */
import { existsSync } from 'node:fs';
import { Failure, capture, commandLine, run, runStatus, say, which } from './run.mjs';

/**
 * @typedef {object} Need
 * @property {string[]} packages Debian's names, the newest release's first; one of them is enough
 * @property {string} [command] there when this program is
 * @property {string} [library] there when the loader knows this shared library
 * @property {string} [font] there when fontconfig finds a font for this language
 */

/** @type {Need[]} */
export const forElectron = [
  { packages: ['libgtk-3-0t64', 'libgtk-3-0'], library: 'libgtk-3.so.0' },
  { packages: ['libnss3'], library: 'libnss3.so' },
  { packages: ['libasound2t64', 'libasound2'], library: 'libasound.so.2' },
  { packages: ['libgbm1'], library: 'libgbm.so.1' },
  { packages: ['unzip'], command: 'unzip' },
];

/** @type {Need[]} */
export const forVirtualDisplay = [
  { packages: ['xvfb'], command: 'Xvfb' },
  { packages: ['xauth'], command: 'xauth' },
];

/** @type {Need[]} */
export const forTests = [
  { packages: ['qemu-utils'], command: 'qemu-img' },
  { packages: ['qemu-system-x86'], command: 'qemu-system-x86_64' },
  { packages: ['fdisk'], command: 'sfdisk' },
  { packages: ['gdisk'], command: 'sgdisk' },
  { packages: ['fontconfig'], command: 'fc-list' },
  { packages: ['fonts-noto-cjk'], font: 'zh-cn' },
];

/**
 * What unpacks QEMU's source package and the sample images in it.
 * @type {Need[]}
 */
export const forSamples = [
  { packages: ['xz-utils'], command: 'xz' },
  { packages: ['bzip2'], command: 'bzip2' },
];

/** @type {Need[]} */
export const forPackaging = [{ packages: ['7zip', 'p7zip-full'], command: '7zz' }];

/** Installs what is missing of `needs`, or throws a Failure with the command that does. Nothing on other systems than Linux. */
export function ensureSystem(/** @type {Need[]} */ needs) {
  if (process.platform !== 'linux') return;
  const missing = missingNeeds(needs);
  if (missing.length === 0) return;
  const wanted = missing.map((need) => need.packages);
  if (which('apt-get') === undefined) {
    const names = missing.map((need) => need.command ?? need.library ?? `a font for ${need.font}`);
    throw new Failure(
      `this system misses ${names.join(', ')}; on Debian: ${installCommand(wanted.map((of) => of[of.length - 1]))}`,
    );
  }
  if (process.getuid?.() !== 0) {
    throw new Failure(
      `this system misses some programs; install them with\n  sudo ${installCommand(available(wanted))}`,
    );
  }
  install(wanted);
  const still = missingNeeds(missing);
  if (still.length > 0) {
    throw new Failure(
      `still missing after the installation: ${still.map((need) => need.packages[0]).join(', ')}`,
    );
  }
}

/** Those of `needs` that this system does not have. */
export function missingNeeds(/** @type {Need[]} */ needs, probe = systemProbe()) {
  return needs.filter((need) => !probe(need));
}

/** @param {string[][]} wanted alternatives for each package */
function install(wanted) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { env, stdio: /** @type {import('node:child_process').StdioOptions} */ (['ignore', 2, 2]) };
  // One index out of step does not mean that the packages cannot be had: the installation says so if it is so.
  if (runStatus('apt-get', ['update', '-q'], options) !== 0)
    say('apt-get update failed; going on with the indexes that are there');
  const names = available(wanted);
  say(`installing ${names.join(' ')}`);
  run('apt-get', installArguments(names), options);
}

/** @param {string[][]} wanted */
function available(wanted) {
  return wanted.map((names) => chooseAvailable(names, (name) => candidate(name) !== undefined));
}

/**
 * The first name that the system's package index has; the last one (the oldest release's) when it has none of them.
 * @param {string[]} names
 * @param {(name: string) => boolean} has
 */
export function chooseAvailable(names, has) {
  return names.find(has) ?? names[names.length - 1];
}

/** @param {string} name */
function candidate(name) {
  return parseCandidate(capture('apt-cache', ['policy', name], { env: { ...process.env, LC_ALL: 'C' } }));
}

/** The version that `apt-cache policy` would install, or undefined when there is none. */
export function parseCandidate(/** @type {string} */ policy) {
  const version = /^\s*Candidate: (.+)$/m.exec(policy)?.[1];
  return version === '(none)' ? undefined : version;
}

/** @param {string[]} names */
const installArguments = (names) => ['install', '-y', '-q', '--no-install-recommends', ...names];

/** @param {string[]} names */
const installCommand = (names) => commandLine('apt-get', ['install', '--no-install-recommends', ...names]);

/** Answers whether a need is met on this system; asks the loader once. */
function systemProbe() {
  /** @type {string | undefined} */
  let libraries;
  return (/** @type {Need} */ need) => {
    if (need.command !== undefined) return which(need.command) !== undefined;
    if (need.font !== undefined) return hasFont(need.font);
    libraries ??= capture(which('ldconfig') ?? 'ldconfig', ['-p']);
    return need.library !== undefined && hasLibrary(libraries, need.library);
  };
}

/** Whether the output of `ldconfig -p` lists a library that exists. */
export function hasLibrary(/** @type {string} */ listing, /** @type {string} */ name, exists = existsSync) {
  for (const line of listing.split('\n')) {
    const [soname, path] = line.trim().split(/ \(.*\) => /);
    if (soname === name && path !== undefined && exists(path)) return true;
  }
  return false;
}

/** @param {string} language */
function hasFont(language) {
  return which('fc-list') !== undefined && capture('fc-list', [`:lang=${language}`, 'file']).trim() !== '';
}

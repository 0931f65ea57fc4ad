/** Calling electron-builder with the runtime that is there. */
import { which } from './run.mjs';

/** Whether a package for this system is asked for, which the Electron that is there can be put into. */
export function forThisSystem(/** @type {string[]} */ words, platform = process.platform) {
  const systems = [
    { platform: 'linux', words: ['--linux', '-l'] },
    { platform: 'win32', words: ['--win', '--windows', '-w'] },
    { platform: 'darwin', words: ['--mac', '--macos', '-m', '-o'] },
  ];
  const asked = systems.filter((system) => system.words.some((word) => words.includes(word)));
  return asked.every((system) => system.platform === platform);
}

/**
 * Its arguments: our configuration, and the Electron that is there instead of one that it would download. A package made with
 * another Electron than the official one has that in its name.
 * @param {import('./electron.mjs').Runtime} [runtime]
 */
export function packageArguments(runtime) {
  const args = ['--config', 'electron-builder.config.mjs', '--publish', 'never'];
  if (runtime === undefined) return args;
  args.push(`-c.electronDist=${runtime.folder}`, `-c.electronVersion=${runtime.version}`);
  if (runtime.kind === 'official') return args;
  return [...args, '-c.artifactName=platter-${version}-${os}-${arch}-not-for-release.${ext}'];
}

/** Its environment: the system's 7-Zip where there is one, since electron-builder would download another. */
export function packageEnv() {
  const sevenZip = which('7zz') ?? which('7z');
  return {
    // The default takes minutes to save two per cent.
    ELECTRON_BUILDER_COMPRESSION_LEVEL: '5',
    ...(sevenZip === undefined ? {} : { ELECTRON_BUILDER_7ZIP_PATH: sevenZip }),
  };
}

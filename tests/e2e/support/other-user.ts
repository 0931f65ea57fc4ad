/**
 * Electron as somebody else than root, so that Chromium's own sandbox is at work (it does not start as root). The runtime lies
 * in root's home folder, which nobody else may enter: it is linked into a folder that everybody may.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { electronExecutable, repository } from './app.ts';

/** Debian's `nobody`. */
export const OTHER_UID = 65534;

export interface OtherUser {
  /** Starts Electron as that user. */
  executable: string;
  /** A folder that belongs to that user. */
  home: string;
  /** What differs in that user's environment. */
  env: Record<string, string>;
  /** To be removed afterwards. */
  folder: string;
}

const DROP = [`--reuid=${OTHER_UID}`, `--regid=${OTHER_UID}`, '--clear-groups', '--inh-caps=-all'] as const;

/** Why the sandbox cannot be tried on this machine, or undefined. Needs root. */
export function otherUserTrouble(): string | undefined {
  const as = (...command: string[]): boolean => {
    try {
      execFileSync('setpriv', [...DROP, '--', ...command], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  };
  if (!as('true')) return 'setpriv cannot start a program as another user';
  if (!as('test', '-r', join(repository, 'package.json')))
    return `another user cannot read ${repository}: it lies in a folder that only root may enter`;
  // Chromium's sandbox is made of them; a chroot or a container may forbid them.
  if (!as('unshare', '--user', 'true')) return 'this machine gives other users no user namespaces';
  return undefined;
}

/** Needs root, and `setpriv` of util-linux. */
export function prepareOtherUser(): OtherUser {
  const folder = mkdtempSync(join(tmpdir(), 'platter-user-'));
  chmodSync(folder, 0o755);
  const executable = electronExecutable();
  try {
    execFileSync('cp', ['-al', dirname(executable), join(folder, 'runtime')], { stdio: 'ignore' });
  } catch {
    // Another file system: no links.
    execFileSync('cp', ['-a', dirname(executable), join(folder, 'runtime')]);
  }
  const home = join(folder, 'home');
  mkdirSync(home);
  chownSync(home, OTHER_UID, OTHER_UID);
  const env: Record<string, string> = {
    HOME: home,
    XDG_CONFIG_HOME: join(home, '.config'),
    XDG_RUNTIME_DIR: home,
  };
  const cookie = process.env['XAUTHORITY'];
  if (cookie !== undefined && existsSync(cookie)) {
    env['XAUTHORITY'] = join(home, 'cookie');
    copyFileSync(cookie, env['XAUTHORITY']);
    chownSync(env['XAUTHORITY'], OTHER_UID, OTHER_UID);
  }
  const script = join(folder, 'electron');
  const program = join(folder, 'runtime', basename(executable));
  writeFileSync(script, `#!/bin/sh\nexec setpriv ${DROP.join(' ')} -- "${program}" "$@"\n`);
  chmodSync(script, 0o755);
  return { executable: script, home, env, folder };
}

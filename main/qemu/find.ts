/** Finds the person's own QEMU. Never a program that a command line names. */
import { constants } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { PlatterError } from '#engine/errors.ts';

/** What a QEMU is known by: another file, or the same one changed, is another QEMU. */
export interface QemuProgram {
  /** `qemu-system-x86_64` */
  name: string;
  /** Absolute, links resolved. */
  path: string;
  /** Of the last change, milliseconds. */
  mtime: number;
}

/** Where QEMU is installed beside what PATH names: graphical applications are started with a short one. */
const PLACES: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: ['/usr/bin', '/usr/local/bin'],
  darwin: ['/opt/homebrew/bin', '/usr/local/bin', '/opt/local/bin'],
  win32: ['C:\\Program Files\\qemu'],
};

/**
 * `qemu-system-<arch>` from the folders of `path` and the usual ones.
 * @param arch as in the program's name; anything but letters, digits and `_` finds nothing
 * @throws PlatterError `try.no-qemu`
 */
export async function findQemu(arch: string, path = process.env['PATH'] ?? ''): Promise<QemuProgram> {
  const name = `qemu-system-${arch}`;
  // A folder that is relative would be looked for wherever Platter was started.
  const folders = [...path.split(delimiter), ...(PLACES[process.platform] ?? [])].filter(isAbsolute);
  const file = process.platform === 'win32' ? `${name}.exe` : name;
  for (const folder of /^[a-z0-9_]{1,32}$/.test(arch) ? folders : []) {
    const found = await programAt(join(folder, file));
    if (found !== undefined) return { name, ...found };
  }
  throw new PlatterError('try.no-qemu', `${name} is not installed: it was not found in any folder of PATH.`, {
    value: name,
    hint: 'Install QEMU, then try again.',
  });
}

async function programAt(path: string): Promise<{ path: string; mtime: number } | undefined> {
  try {
    const resolved = await realpath(path);
    await access(resolved, constants.X_OK);
    const facts = await stat(resolved);
    return facts.isFile() ? { path: resolved, mtime: facts.mtimeMs } : undefined;
  } catch {
    return undefined;
  }
}

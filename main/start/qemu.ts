/** Which QEMU the machine has: asked once, at the start. */
import { execFile } from 'node:child_process';

/** `qemu-system-x86_64 --version` as `major.minor`, or null when there is none or it does not answer within three seconds. */
export function installedQemu(program = 'qemu-system-x86_64'): Promise<string | null> {
  return new Promise((resolve) => {
    execFile(program, ['--version'], { timeout: 3000, windowsHide: true }, (error, stdout) => {
      resolve(error === null ? qemuVersion(stdout) : null);
    });
  });
}

/** The version in `QEMU emulator version 7.2.22 (Debian …)`. */
export function qemuVersion(text: string): string | null {
  return /version (\d+\.\d+)/.exec(text)?.[1] ?? null;
}

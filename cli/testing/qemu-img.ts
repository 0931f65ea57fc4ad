/** For tests: the real qemu-img, and a folder to work in that goes away. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { patiently } from '../../tests/support/patiently.ts';

/** What it prints on standard output; throws when it fails. */
export function qemuImg(folder: string, ...args: string[]): string {
  return patiently(() =>
    execFileSync('qemu-img', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
  );
}

/** qemu-io commands on one image. */
export function qemuIo(folder: string, format: string, image: string, ...commands: string[]): void {
  const args = ['-f', format, ...commands.flatMap((command) => ['-c', command]), image];
  execFileSync('qemu-io', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** A new folder and what removes it. */
export function workFolder(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'platter-test-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

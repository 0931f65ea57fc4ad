/** The oracle of the block layer's tests: qemu-img and qemu-io, run on images in a temporary folder. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** A folder of its own for one test file, removed when its tests are done. */
export function testFolder(): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'platter-block-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return (name) => join(folder, name);
}

/** Runs qemu-img; its standard output. Throws when it fails. */
export function qemuImg(...args: string[]): string {
  return execFileSync('qemu-img', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Runs qemu-io commands on an image; throws when a command or a pattern check fails. */
export function qemuIo(path: string, ...commands: string[]): string {
  const args = commands.flatMap((command) => ['-c', command]);
  const done = spawnSync('qemu-io', ['-f', path.endsWith('.raw') ? 'raw' : 'qcow2', ...args, path], {
    encoding: 'utf8',
  });
  if (done.status !== 0 || /failed|error|Pattern verification/i.test(done.stdout)) {
    throw new Error(`qemu-io ${commands.join('; ')}: ${done.stdout}${done.stderr}`);
  }
  return done.stdout;
}

export interface QemuCheck {
  'image-end-offset'?: number;
  'total-clusters'?: number;
  'allocated-clusters'?: number;
  'fragmented-clusters'?: number;
  'compressed-clusters'?: number;
  'check-errors': number;
  corruptions?: number;
  leaks?: number;
}

/** `qemu-img check --output=json`; findings do not throw. */
export function qemuCheck(path: string): QemuCheck {
  const done = spawnSync('qemu-img', ['check', '--output=json', path], { encoding: 'utf8' });
  const start = done.stdout.indexOf('{');
  if (start < 0) throw new Error(`qemu-img check ${path}: ${done.stdout}${done.stderr}`);
  return JSON.parse(done.stdout.slice(start)) as QemuCheck;
}

/** Whether qemu-img finds the same guest-visible bytes in both. */
export function qemuSame(left: string, right: string): boolean {
  const done = spawnSync('qemu-img', ['compare', left, right], { encoding: 'utf8' });
  if (done.status === 0) return true;
  if (done.status === 1) return false;
  throw new Error(`qemu-img compare: ${done.stdout}${done.stderr}`);
}

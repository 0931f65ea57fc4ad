/** For tests: QEMU's own tools on temporary files. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A temporary folder that `dispose` removes. */
export class Scratch {
  #count = 0;
  readonly folder = mkdtempSync(join(tmpdir(), 'platter-formats-'));

  path(name: string): string {
    return join(this.folder, name);
  }

  /** A path that nobody had before. */
  fresh(name: string): string {
    return this.path(`${this.#count++}-${name}`);
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface ToolResult {
  status: number;
  stdout: string;
  stderr: string;
}

export function tool(command: string, args: readonly string[], input?: string): ToolResult {
  const done = spawnSync(command, args, { encoding: 'utf8', input, maxBuffer: 64 << 20 });
  if (done.error !== undefined) throw done.error;
  return { status: done.status ?? -1, stdout: done.stdout, stderr: done.stderr };
}

/** Runs `qemu-img`; throws with its words unless it succeeds. */
export function qemuImg(...args: string[]): string {
  const done = tool('qemu-img', args);
  if (done.status !== 0) throw new Error(`qemu-img ${args.join(' ')}: ${done.stderr}${done.stdout}`);
  return done.stdout;
}

/** Runs `qemu-io` commands on an image. */
export function qemuIo(path: string, format: string, ...commands: string[]): void {
  const args = ['-f', format, ...commands.flatMap((command) => ['-c', command]), path];
  const done = tool('qemu-io', args);
  const failed = /failed|error|invalid/i.test(done.stdout + done.stderr);
  if (done.status !== 0 || failed) throw new Error(`qemu-io: ${done.stdout}${done.stderr}`);
}

/** The guest's disk as qemu-img reads it. */
export function bytesByQemu(scratch: Scratch, path: string, format: string): Uint8Array {
  const raw = scratch.fresh('by-qemu.raw');
  qemuImg('convert', '-f', format, '-O', 'raw', path, raw);
  const bytes = readFileSync(raw);
  rmSync(raw);
  return bytes;
}

export interface QemuExtent {
  start: number;
  length: number;
  depth: number;
  present: boolean;
  zero: boolean;
  data: boolean;
  offset?: number;
}

export function mapByQemu(path: string, format: string): QemuExtent[] {
  return JSON.parse(qemuImg('map', '--output=json', '-f', format, path)) as QemuExtent[];
}

export interface QemuInfo {
  'virtual-size': number;
  'cluster-size'?: number;
  'dirty-flag'?: boolean;
  encrypted?: boolean;
  'backing-filename'?: string;
  'backing-filename-format'?: string;
  'format-specific'?: { type: string; data: Record<string, unknown> };
}

export function infoByQemu(path: string, format: string): QemuInfo {
  return JSON.parse(qemuImg('info', '--output=json', '-f', format, path)) as QemuInfo;
}

/** Whether a second reader of the format is installed; says so when it is not, since that part of the test is then left out. */
export function secondOpinion(command: string): boolean {
  const found = spawnSync('which', [command]).status === 0;
  if (!found) console.warn(`${command} is not installed: its opinion is left out`);
  return found;
}

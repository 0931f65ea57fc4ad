/** Both ways of one job: as the application does it, and as the shell does it that runs the command which the page shows. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import { afterEach, beforeEach } from 'vitest';
import type { CommandLayer } from '#contract/command-images.ts';
import { commandText, jobCommand } from '#contract/job-command.ts';
import { jobRequestSchema, type JobRequest, type JobResult } from '#contract/jobs.ts';
import type { JobSecrets } from '#contract/secrets.ts';
import { allowAll } from '#engine/block/gate.ts';
import { patiently } from '../../../../tests/support/patiently.ts';
import { runJob } from '../run.ts';

export const IMAGE = 'img-0000000000000001';
export const OTHER = 'img-0000000000000002';
export const TARGET = 'dst-0000000000000001';
/** Of every encrypted image. */
export const PASS = 'open, sesame';

let folder: string;

/** A folder of its own for every test of the file that calls this. */
export function folderForEach(): void {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'platter-job-command-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
}

export const at = (name: string): string => join(folder, name);
export const qemu = (...args: string[]): string =>
  patiently(() =>
    execFileSync('qemu-img', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
  );

/** A qcow2 image with data, a hole, a snapshot of an older state. */
export function sample(name: string): string {
  qemu('create', '-q', '-f', 'qcow2', name, '8M');
  const io = (...commands: string[]): void => {
    const words = commands.flatMap((command) => ['-c', command]);
    execFileSync('qemu-io', ['-f', 'qcow2', ...words, at(name)], { stdio: 'ignore' });
  };
  io('write -P 7 0 1M', 'write -P 9 6M 64k');
  qemu('snapshot', '-c', 'before', name);
  io('write -P 8 512k 1M');
  return at(name);
}

const formatOf = (path: string): string =>
  (JSON.parse(qemu('info', '--output=json', path)) as { format: string }).format;

/** The chain as qemu-img tells it, which needs no passphrase for that. */
function layersOf(path: string): CommandLayer[] {
  const told = qemu('info', '--output=json', '--backing-chain', path);
  const layers = JSON.parse(told) as { filename: string; format: string; encrypted?: boolean }[];
  return layers.map(({ filename, format, encrypted = false }) => ({ file: filename, format, encrypted }));
}

/** Checked and completed as main does it with what the page sends. */
export const request = (value: unknown): JobRequest => v.parse(jobRequestSchema, value);

export function run(
  job: JobRequest,
  files: Record<string, string>,
  secrets: JobSecrets = {},
  passphrase = PASS,
): Promise<JobResult> {
  return runJob(job, {
    signal: new AbortController().signal,
    onProgress: () => undefined,
    path: (handle) => files[handle],
    reference: (handle) => basename(files[handle]),
    gate: () => allowAll,
    secrets,
    secret: () => passphrase,
  });
}

/** Runs the text that the page shows, in a shell. */
export function shown(job: JobRequest, files: Record<string, string>): string {
  const text = commandText(
    jobCommand(job, {
      file: (handle) => files[handle],
      reference: (handle) => basename(files[handle]),
      format: (handle) => (existsSync(files[handle]) ? formatOf(files[handle]) : undefined),
      layers: (handle) => layersOf(files[handle]),
    }),
  );
  return patiently(() =>
    execFileSync('sh', ['-c', text], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
  );
}

/** What qemu-img says of two images. */
export const same = (one: string, two: string): string => qemu('compare', one, two);

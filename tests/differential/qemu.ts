/** Asks a real QEMU, paused and without a display, what it says to a command line. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { splitShell } from '../../engine/qemu/parse/shell.ts';

export interface Verdict {
  accepted: boolean;
  /** What it printed, without the program's name. */
  said: string;
  exitCode: number | null;
}

/** `major.minor` of the QEMU at hand, or undefined when there is none. */
export function installedQemu(): string | undefined {
  const run = spawnSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' });
  return run.error === undefined ? /version (\d+\.\d+)/.exec(run.stdout)?.[1] : undefined;
}

const BASE = ['-accel', 'tcg', '-S', '-display', 'none', '-nodefaults', '-qmp', 'stdio'];
const TIMEOUT_MS = 20_000;

/** Starts QEMU with the line in `folder` and ends it at once over QMP. */
export function tryLine(line: string, folder: string): Promise<Verdict> {
  const args = [...BASE, ...splitShell(line).words.map((w) => w.value)];
  return new Promise((resolve, reject) => {
    const qemu = spawn('qemu-system-x86_64', args, {
      cwd: folder,
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    let said = '';
    let answers = '';
    qemu.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    qemu.stdout.on('data', (chunk: Buffer) => (answers += chunk.toString()));
    qemu.on('error', reject);
    // QEMU may be gone before it reads.
    qemu.stdin.on('error', () => undefined);
    qemu.on('close', (exitCode) => {
      const accepted = exitCode === 0 && answers.includes('"return"');
      resolve({ accepted, said: said.replaceAll(/^qemu-system-x86_64: /gm, ''), exitCode });
    });
    qemu.stdin.end('{"execute":"qmp_capabilities"}{"execute":"quit"}\n');
  });
}

/** A folder of small images for the lines to name: `a.raw`, `a.qcow2`, `b.qcow2`, `c.qcow2`, `overlay.qcow2` over `base.qcow2`. */
export function makeImages(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'platter-line-'));
  const qemuImg = (...args: string[]): void => {
    const run = spawnSync('qemu-img', args, { cwd: folder, encoding: 'utf8' });
    if (run.status !== 0) throw new Error(`qemu-img ${args.join(' ')}: ${run.stderr}`);
  };
  for (const name of ['a', 'b', 'c']) qemuImg('create', '-q', '-f', 'qcow2', `${name}.qcow2`, '64M');
  for (const name of ['a', 'b', 'c']) qemuImg('create', '-q', '-f', 'raw', `${name}.raw`, '64M');
  qemuImg('create', '-q', '-f', 'qcow2', 'base.qcow2', '64M');
  qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', 'overlay.qcow2');
  writeFileSync(join(folder, 'odd.raw'), Buffer.alloc(1000, 1));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** For tests: asks a paused QEMU without a display whether it takes a line, and makes the files that a line names. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { splitShell } from '../parse/shell.ts';
import type { RecipeFile } from '../recipes.ts';
import { patiently } from '../../../tests/support/patiently.ts';

const BASE = ['-accel', 'tcg', '-S', '-display', 'none', '-nodefaults', '-qmp', 'stdio'];

export function workFolder(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'platter-qemu-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Makes the files with qemu-img, 1 MiB each. */
export function makeFiles(folder: string, files: readonly RecipeFile[]): void {
  for (const { name, format, backing, key } of files) {
    if (format === 'text') {
      writeFileSync(join(folder, name), 'correct horse');
      continue;
    }
    const args = ['create', '-q', '-f', format];
    if (backing !== undefined) args.push('-b', backing, '-F', 'qcow2');
    if (key !== undefined)
      args.push('--object', `secret,id=k,file=${key}`, '-o', 'key-secret=k,iter-time=10');
    const operands = [name, ...(backing === undefined ? ['1M'] : [])];
    patiently(() => execFileSync('qemu-img', [...args, ...operands], { cwd: folder, stdio: 'pipe' }));
  }
}

/**
 * What QEMU prints on standard error for the line, the program's name left out; `''` when it takes the line in silence.
 * `commands` are QMP commands that are given first; an error that one answers counts as QEMU's words too.
 */
export function askQemu(line: string, folder: string, commands: readonly object[] = []): Promise<string> {
  const words = splitShell(line).words.map((word) => word.value);
  const args = words[0]?.startsWith('qemu') ? words.slice(1) : words;
  return new Promise((resolve, reject) => {
    const qemu = spawn('qemu-system-x86_64', [...BASE, ...args], { cwd: folder, timeout: 20_000 });
    let said = '';
    let answers = '';
    qemu.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    qemu.stdout.on('data', (chunk: Buffer) => (answers += chunk.toString()));
    qemu.on('error', reject);
    // QEMU may be gone before it reads.
    qemu.stdin.on('error', () => undefined);
    qemu.on('close', (code) => {
      const errors = [...answers.matchAll(/"desc": "([^"]*)"/g)].map((match) => match[1]);
      const all = [...errors, said.replaceAll(/^qemu-system-x86_64: /gm, '').trim()].filter((s) => s !== '');
      resolve(all.length === 0 && code !== 0 ? `exit code ${String(code)}` : all.join('\n'));
    });
    const all = [{ execute: 'qmp_capabilities' }, ...commands, { execute: 'quit' }];
    qemu.stdin.end(all.map((command) => JSON.stringify(command)).join('\n') + '\n');
  });
}

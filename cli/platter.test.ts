/** The built program, as a person starts it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cli, ensureBuilt } from '../scripts/lib/build.mjs';
import { commands } from './commands/index.ts';
import { qemuImg, workFolder } from './testing/qemu-img.ts';

const program = resolve(import.meta.dirname, '../out/cli/platter.mjs');
const { folder, remove } = workFolder();
beforeAll(() => ensureBuilt(cli, { quiet: true }));
afterAll(remove);

const start = (...words: string[]) =>
  spawnSync(process.execPath, [program, ...words], { encoding: 'utf8', cwd: folder });

it('says its version and its commands', () => {
  const { version } = JSON.parse(readFileSync(resolve(import.meta.dirname, '../package.json'), 'utf8'));
  expect(start('--version')).toMatchObject({ status: 0, stdout: `platter ${version}\n`, stderr: '' });
  const overview = start('--help');
  expect(overview.status).toBe(0);
  for (const { name } of commands) expect(overview.stdout).toContain(`\n  ${name} `);
  expect(start()).toMatchObject({ status: 2, stdout: '', stderr: overview.stdout });
});

it.each(commands.map(({ name }) => name))('%s --help teaches', (name) => {
  const { status, stdout } = start(name, '--help');
  expect(status).toBe(0);
  expect(stdout).toMatch(new RegExp(`^Usage: platter ${name} `));
  for (const heading of ['Options:', 'Examples:', 'Exit codes:']) expect(stdout).toContain(`\n${heading}\n`);
  expect(stdout.split('\n').filter((row) => row.length > 80 && !row.startsWith('  platter'))).toEqual([]);
  expect(start('help', name).stdout).toBe(stdout);
});

it('names the nearest command and the nearest option, with exit code 2', () => {
  expect(start('inof', 'x')).toMatchObject({ status: 2, stdout: '' });
  expect(start('inof', 'x').stderr).toContain("did you mean 'info'?");
  expect(start('info', '--jsn', 'x').stderr).toContain("did you mean '--json'?");
  expect(start('--json').stderr).toContain('options stand behind the command');
});

it('ends quietly when the reader of its output goes away', () => {
  qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', 'many.qcow2', '8M');
  const commandsOf = Array.from({ length: 1000 }, (_, index) => [
    '-c',
    `write -P 1 ${index * 2048} 512`,
  ]).flat();
  execFileSync('qemu-io', ['-f', 'qcow2', ...commandsOf, 'many.qcow2'], { cwd: folder, stdio: 'ignore' });
  const piped = spawnSync(
    'bash',
    ['-c', `"${process.execPath}" "${program}" map --json many.qcow2 | head -1; echo "\${PIPESTATUS[0]}"`],
    {
      cwd: folder,
      encoding: 'utf8',
    },
  );
  expect(piped.stdout).toMatch(/^\[\{ "start": 0.*\n141\n$/);
  expect(piped.stderr).toBe('');
});

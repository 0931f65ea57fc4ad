/** The built program, killed for real (SIGKILL) and on a file system that is full (a limit on the size of files). */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cli, ensureBuilt } from '../scripts/lib/build.mjs';
import { qemuImg, qemuIo, workFolder } from './testing/qemu-img.ts';

const program = resolve(import.meta.dirname, '../out/cli/platter.mjs');
const { folder, remove } = workFolder();
const at = (name: string): string => join(folder, name);
afterAll(remove);

beforeAll(() => {
  ensureBuilt(cli, { quiet: true });
  qemuImg(folder, 'create', '-q', '-f', 'qcow2', 'base.qcow2', '64M');
  qemuIo(folder, 'qcow2', 'base.qcow2', 'write -P 1 0 40M');
  qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', 'base.qcow2', 'top.qcow2');
  qemuIo(folder, 'qcow2', 'top.qcow2', 'write -P 2 10M 40M');
  qemuImg(folder, 'convert', '-O', 'raw', 'top.qcow2', 'top.raw');
});

it('convert that is killed leaves the old target', async () => {
  writeFileSync(at('target.qcow2'), 'what was there before');
  const words = [program, 'convert', '--follow', '-O', 'qcow2', at('top.qcow2'), at('target.qcow2')];
  const child = spawn(process.execPath, words, { stdio: 'ignore' });
  while (child.exitCode === null && !readdirSync(folder).some((name) => name.endsWith('.part'))) {
    await setTimeout(1);
  }
  child.kill('SIGKILL');
  await once(child, 'exit');
  const left = readFileSync(at('target.qcow2'));
  if (child.signalCode === 'SIGKILL') expect(left.toString('latin1')).toBe('what was there before');
  expect(spawnSync(process.execPath, words).status).toBe(0);
  qemuImg(folder, 'compare', 'target.qcow2', 'top.raw');
});

it('commit that is killed again and again loses nothing', async () => {
  copyFileSync(at('base.qcow2'), at('kept.qcow2'));
  for (const pause of [1, 40, 80, 120, 160]) {
    const words = [program, 'commit', '--follow', '-r', '100M', at('top.qcow2')];
    const child = spawn(process.execPath, words, { stdio: 'ignore' });
    const before = statSync(at('base.qcow2')).mtimeMs;
    while (child.exitCode === null && statSync(at('base.qcow2')).mtimeMs === before) await setTimeout(1);
    await setTimeout(pause);
    child.kill('SIGKILL');
    await once(child, 'exit');
    qemuImg(folder, 'compare', 'top.qcow2', 'top.raw');
    for (const name of ['base.qcow2', 'top.qcow2']) {
      const checked = spawnSync('qemu-img', ['check', at(name)], { encoding: 'utf8' });
      expect([0, 3], checked.stdout + checked.stderr).toContain(checked.status);
    }
  }
  expect(spawnSync(process.execPath, [program, 'commit', '--follow', at('top.qcow2')]).status).toBe(0);
  qemuImg(folder, 'compare', 'base.qcow2', 'top.raw');
});

it.runIf(process.platform === 'linux')('no space left is said, and no half target stays', () => {
  const limited = (...words: string[]) =>
    spawnSync(
      'bash',
      ['-c', 'trap "" XFSZ; ulimit -f 8192; exec "$@"', 'bash', process.execPath, program, ...words],
      {
        encoding: 'utf8',
      },
    );
  const convert = limited('convert', '-f', 'raw', '-O', 'qcow2', at('top.raw'), at('new.qcow2'));
  expect(convert.status).toBe(1);
  expect(convert.stderr).toContain('would become larger than its file system allows');
  expect(existsSync(at('new.qcow2'))).toBe(false);
  expect(readdirSync(folder).filter((name) => name.includes('new.qcow2'))).toEqual([]);
  // An overlay that shall take over more than there is room for stays what it was.
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', 'top.raw', at('small.qcow2')]);
  const rebase = limited('rebase', '--follow', '-b', '', at('small.qcow2'));
  expect(rebase.status).toBe(1);
  expect(rebase.stderr).toContain('would become larger');
  qemuImg(folder, 'compare', 'small.qcow2', 'top.raw');
  expect([0, 3]).toContain(spawnSync('qemu-img', ['check', at('small.qcow2')]).status);
});

/** A display: the person's own, or a virtual one (Xvfb) for as long as it is needed. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure, run, which } from './run.mjs';

/** How long Xvfb may take to be ready. */
const START_MS = 20_000;

/** Whether windows can be shown here. */
export function hasDisplay(env = process.env, platform = process.platform) {
  return platform !== 'linux' || Boolean(env.DISPLAY) || Boolean(env.WAYLAND_DISPLAY);
}

/** Whether a virtual display can be started. */
export function hasVirtualDisplay() {
  return which('Xvfb') !== undefined && which('xauth') !== undefined;
}

/**
 * Starts Xvfb on a free display number, open only to who has its cookie, and calls `use` with the environment that leads to it.
 * @template T
 * @param {(env: Record<string, string>) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withVirtualDisplay(use) {
  const folder = mkdtempSync(join(tmpdir(), 'platter-display-'));
  const authority = join(folder, 'authority');
  writeFileSync(authority, '', { mode: 0o600 });
  const cookie = randomBytes(16).toString('hex');
  const authorize = (/** @type {string} */ display) =>
    run('xauth', ['-q', '-f', authority, 'add', display, '.', cookie], { stdio: ['ignore', 'ignore', 2] });
  // The server looks only at the cookie; which number it will get is not known yet.
  authorize(':0');
  const args = ['-displayfd', '3', '-screen', '0', '1920x1080x24', '-nolisten', 'tcp', '-auth', authority];
  const server = spawn(which('Xvfb') ?? 'Xvfb', args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  try {
    const display = `:${await displayNumber(server)}`;
    authorize(display);
    return await use({ DISPLAY: display, XAUTHORITY: authority });
  } finally {
    server.kill('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The number that the server writes to file descriptor 3 when it is ready.
 * @param {import('node:child_process').ChildProcess} server
 * @returns {Promise<string>}
 */
function displayNumber(server) {
  return new Promise((resolve, reject) => {
    let said = '';
    let number = '';
    const late = setTimeout(
      () => reject(new Failure(`Xvfb was not ready after ${START_MS / 1000} s: ${said}`)),
      START_MS,
    );
    server.stderr?.on('data', (chunk) => {
      said += chunk;
    });
    server.on('error', (error) => reject(new Failure(`Xvfb: ${error.message}`)));
    server.on('exit', (code) => reject(new Failure(`Xvfb ended with exit code ${code}: ${said.trim()}`)));
    server.stdio[3]?.on('data', (chunk) => {
      number += chunk;
      if (!number.includes('\n')) return;
      clearTimeout(late);
      resolve(number.trim());
    });
  });
}

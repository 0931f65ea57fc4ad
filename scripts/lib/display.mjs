/** A display: the person's own, or a virtual one (Xvfb) for as long as it is needed. */
import { spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Failure, run, which } from './run.mjs';

/** How long Xvfb may take to be ready. */
const START_MS = 20_000;
/** Display numbers that are tried: far from those of people's own displays. */
const FIRST_DISPLAY = 100;
const LAST_DISPLAY = 9999;
const ATTEMPTS = 20;

/** @typedef {{ number: number, server: import('node:child_process').ChildProcess }} Display */

/** Whether windows can be shown here. */
export function hasDisplay(env = process.env, platform = process.platform) {
  return platform !== 'linux' || Boolean(env.DISPLAY) || Boolean(env.WAYLAND_DISPLAY);
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
  /** @type {Display | undefined} */
  let display;
  try {
    writeFileSync(authority, '', { mode: 0o600 });
    display = await startDisplay(authority);
    return await use({ DISPLAY: `:${display.number}`, XAUTHORITY: authority });
  } finally {
    display?.server.kill('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The number is chosen here and not by the server: with -displayfd it takes no lock, and two that start together take the same one.
 * @param {string} authority
 * @returns {Promise<Display>}
 */
async function startDisplay(authority) {
  let said = '';
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const number = randomInt(FIRST_DISPLAY, LAST_DISPLAY);
    if (existsSync(socketOf(number)) || existsSync(`/tmp/.X${number}-lock`)) continue;
    const cookie = randomBytes(16).toString('hex');
    run('xauth', ['-q', '-f', authority, 'add', `:${number}`, '.', cookie], {
      stdio: ['ignore', 'ignore', 2],
    });
    // Without -noreset the server starts over whenever its last client leaves.
    const args = [
      `:${number}`,
      '-screen',
      '0',
      '1920x1080x24',
      '-noreset',
      '-nolisten',
      'tcp',
      '-auth',
      authority,
    ];
    const server = spawn(which('Xvfb') ?? 'Xvfb', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const problem = await untilReady(server, number);
    if (problem === undefined) return { number, server };
    server.kill('SIGKILL');
    said = problem;
  }
  throw new Failure(`Xvfb could not be started: ${said}`);
}

/**
 * Resolves when the server takes connections, or with what is wrong.
 * @param {import('node:child_process').ChildProcess} server
 * @param {number} number
 * @returns {Promise<string | undefined>}
 */
async function untilReady(server, number) {
  let said = '';
  let ended = false;
  server.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  server.on('error', (error) => {
    ended = true;
    said += error.message;
  });
  server.on('exit', () => {
    ended = true;
  });
  for (const end = Date.now() + START_MS; Date.now() < end; await setTimeout(50)) {
    if (ended) return said.trim() || 'it ended at once';
    if (await answers(socketOf(number))) return undefined;
  }
  return `it was not ready after ${START_MS / 1000} s ${said}`;
}

/** @param {number} number */
const socketOf = (number) => `/tmp/.X11-unix/X${number}`;

/**
 * @param {string} path
 * @returns {Promise<boolean>}
 */
function answers(path) {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

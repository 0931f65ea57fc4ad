/** Running other programs, and talking to the person at the terminal. Nothing here swallows a failure. */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { root } from './paths.mjs';

/** A failure that is explained in full by its message: the scripts print it without a stack and end with exit code 1. */
export class Failure extends Error {}

/** One line about what is going on, on standard error, so that standard output stays for results. */
export function say(/** @type {string} */ text) {
  process.stderr.write(`platter: ${text}\n`);
}

/** The command as a person would type it. */
export function commandLine(/** @type {string} */ command, /** @type {readonly string[]} */ args) {
  const quote = (/** @type {string} */ word) =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
  return [command, ...args].map(quote).join(' ');
}

/**
 * Runs a program from the repository's root with the terminal as its output, and throws a Failure when it does not end with 0.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnSyncOptions} [options]
 */
export function run(command, args, options = {}) {
  const status = runStatus(command, args, options);
  if (status !== 0) throw new Failure(`${commandLine(command, args)}: ended with exit code ${status}`);
}

/**
 * As `run`, but answers the exit code: 128 and the signal's number when a signal ended it, as a shell does.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnSyncOptions} [options]
 * @returns {number}
 */
export function runStatus(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (result.error) throw new Failure(`${commandLine(command, args)}: ${result.error.message}`);
  return result.status ?? 128 + signalNumber(result.signal);
}

/**
 * What a program prints on standard output. Throws a Failure with what it said on standard error when it fails.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnSyncOptions} [options]
 * @returns {string}
 */
export function capture(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
    ...options,
    encoding: 'utf8',
  });
  if (result.error) throw new Failure(`${commandLine(command, args)}: ${result.error.message}`);
  if (result.status !== 0) {
    const said = result.stderr.trim();
    throw new Failure(
      `${commandLine(command, args)}: ended with ${result.status ?? result.signal}${said && `\n${said}`}`,
    );
  }
  return result.stdout;
}

/**
 * Runs a program beside this one until it ends; interrupting this one interrupts it. Answers its exit code.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<number>}
 */
export function runAsync(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', ...options });
    const signals = /** @type {NodeJS.Signals[]} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
    const forward = (/** @type {NodeJS.Signals} */ signal) => child.kill(signal);
    for (const signal of signals) process.on(signal, forward);
    child.on('error', (error) => reject(new Failure(`${commandLine(command, args)}: ${error.message}`)));
    child.on('close', (code, signal) => {
      for (const name of signals) process.off(name, forward);
      resolve(code ?? 128 + signalNumber(signal));
    });
  });
}

/** The full path of a program found through PATH, or undefined. */
export function which(/** @type {string} */ name, path = process.env.PATH ?? '') {
  // Not every PATH has the folders where a system keeps its own programs.
  for (const folder of [...path.split(delimiter), '/usr/sbin', '/sbin']) {
    if (folder === '') continue;
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/**
 * Runs a script's body: a Failure is printed as one message, anything else with its stack; both end with exit code 1.
 * @param {() => void | number | Promise<void | number>} body its number is the exit code
 */
export async function script(body) {
  try {
    requireNode(process.versions.node);
    process.exitCode = (await body()) ?? 0;
  } catch (error) {
    say(error instanceof Failure ? error.message : String(error instanceof Error ? error.stack : error));
    process.exitCode = 1;
  }
}

/** Throws a Failure when this Node is older than the tools need. */
export function requireNode(/** @type {string} */ version) {
  const [major, minor] = version.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Failure(
      `Node ${version} is too old: install Node 20.19 or newer (on Debian: from https://nodejs.org)`,
    );
  }
}

/** @param {string | null} signal */
function signalNumber(signal) {
  return (
    { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 }[String(signal)] ??
    0
  );
}

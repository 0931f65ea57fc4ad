/** The checks of `npm test`: each answers how many of its tests passed and failed. */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { withVirtualDisplay } from './display.mjs';
import { describe, runtimeEnv } from './electron.mjs';
import { root } from './paths.mjs';
import { runAsync, say } from './run.mjs';

/** @typedef {{ passed: number, failed: number, skipped: number }} Count */

/** @param {string} name a program of node_modules/.bin */
const bin = (name) => join(root, 'node_modules/.bin', name);

/**
 * The checks that look at the sources; each counts as one test.
 * @type {{ name: string, command: string, args: string[] }[]}
 */
export const staticChecks = [
  { name: 'types of the engine, the processes, the scripts', command: bin('tsc'), args: ['--noEmit'] },
  {
    name: 'types of the end-to-end tests',
    command: bin('tsc'),
    args: ['--noEmit', '-p', 'tsconfig.e2e.json'],
  },
  {
    name: 'types of the interface',
    command: bin('vue-tsc'),
    args: ['--noEmit', '-p', 'tsconfig.renderer.json'],
  },
  { name: 'lint', command: bin('oxlint'), args: ['--type-aware', '--deny-warnings'] },
  { name: 'format', command: bin('prettier'), args: ['--check', '--log-level', 'warn', '.'] },
];

/** @returns {Promise<Count>} */
export async function runStatic(/** @type {(typeof staticChecks)[number]} */ check) {
  const status = await runAsync(check.command, check.args, { stdio: ['ignore', 2, 2] });
  return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0 };
}

/** @returns {Promise<Count>} */
export async function runUnit() {
  const report = freshReport('unit.json');
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const status = await runAsync(bin('vitest'), args, { stdio: ['ignore', 2, 2] });
  return settle(status, readReport(report, countVitest));
}

/**
 * @param {import('./electron.mjs').Runtime} runtime
 * @param {string[]} [args]
 * @returns {Promise<Count>}
 */
export async function runEndToEnd(runtime, args = []) {
  const report = freshReport('e2e.json');
  say(`end-to-end tests on ${describe(runtime)}`);
  const command = ['test', '--config', 'tests/e2e/playwright.config.ts', ...args];
  const status = await withVirtualDisplay((display) => {
    const env = { ...process.env, ...runtimeEnv(runtime), ...display, WAYLAND_DISPLAY: '' };
    return runAsync(bin('playwright'), command, { env, stdio: ['ignore', 2, 2] });
  });
  return settle(status, readReport(report, countPlaywright));
}

/**
 * What a report's count says, unless the program failed without a failed test in it (or left no report): that is a failure too.
 * @param {number} status
 * @param {Count | undefined} count
 * @returns {Count}
 */
export function settle(status, count) {
  const known = count ?? { passed: 0, failed: 0, skipped: 0 };
  const ranNothing = count === undefined || known.passed + known.failed === 0;
  return (status !== 0 || ranNothing) && known.failed === 0 ? { ...known, failed: 1 } : known;
}

/**
 * Vitest's JSON report. A file that could not be loaded has no tests in it: it counts as one failure.
 * @returns {Count}
 */
export function countVitest(/** @type {any} */ report) {
  const broken = report.testResults.filter(
    (/** @type {any} */ file) => file.status === 'failed' && file.assertionResults.length === 0,
  ).length;
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken,
    skipped: report.numPendingTests + (report.numTodoTests ?? 0),
  };
}

/**
 * Playwright's JSON report. Errors outside of tests (a file that cannot be loaded) count as failures.
 * @returns {Count}
 */
export function countPlaywright(/** @type {any} */ report) {
  const { expected, unexpected, flaky, skipped } = report.stats;
  return { passed: expected, failed: unexpected + flaky + report.errors.length, skipped };
}

/** @param {string} name */
function freshReport(name) {
  const file = join(root, 'artifacts', name);
  mkdirSync(dirname(file), { recursive: true });
  rmSync(file, { force: true });
  return file;
}

/**
 * @param {string} file
 * @param {(report: any) => Count} count
 */
function readReport(file, count) {
  return existsSync(file) ? count(JSON.parse(readFileSync(file, 'utf8'))) : undefined;
}

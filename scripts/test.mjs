/** `npm test`: everything that can be checked, from a fresh clone. Ends with `N passed, N failed` alone on the last line. */
import { app, cli, ensureBuilt } from './lib/build.mjs';
import { runEndToEnd, runStatic, runUnit, staticChecks } from './lib/checks.mjs';
import { describe } from './lib/electron.mjs';
import { Failure, say, script } from './lib/run.mjs';
import { ensureSamples } from './lib/samples.mjs';
import { prepareElectron } from './lib/setup.mjs';
import { forPackaging, forTests, forVirtualDisplay } from './lib/system.mjs';

/** @typedef {import('./lib/checks.mjs').Count} Count */

await script(async () => {
  const runtime = await prepareElectron([...forVirtualDisplay, ...forTests, ...forPackaging]);
  ensureSamples();

  /** @type {{ name: string, count: Count, seconds: number }[]} */
  const rows = [];
  /** @type {(name: string, check: () => Promise<Count>) => Promise<Count>} */
  const step = async (name, check) => {
    say(`— ${name}`);
    const start = process.hrtime.bigint();
    const count = await check().catch(broken);
    rows.push({ name, count, seconds: Number(process.hrtime.bigint() - start) / 1e9 });
    return count;
  };

  for (const check of staticChecks) await step(check.name, () => runStatic(check));
  // Before the unit tests: some of them start the built command-line program.
  for (const part of [cli, app]) await step(`build of ${part.name}`, async () => built(part));
  await step('unit tests', runUnit);
  await step('end-to-end tests', () => runEndToEnd(runtime));

  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const { name, count, seconds } of rows) {
    for (const key of /** @type {const} */ (['passed', 'failed', 'skipped'])) total[key] += count[key];
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
    console.log(
      `${name}: ${count.passed} passed, ${count.failed} failed${skipped} (${seconds.toFixed(1)} s)`,
    );
  }
  console.log(`ran on ${describe(runtime)}, Node ${process.versions.node}`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 ? 0 : 1;
});

/** @returns {Count} */
function built(/** @type {import('./lib/build.mjs').Part} */ part) {
  ensureBuilt(part);
  return { passed: 1, failed: 0, skipped: 0 };
}

/**
 * A check that could not run is a failed one; what was wrong is said where it happened.
 * @returns {Count}
 */
function broken(/** @type {unknown} */ error) {
  say(error instanceof Failure ? error.message : String(error instanceof Error ? error.stack : error));
  return { passed: 0, failed: 1, skipped: 0 };
}

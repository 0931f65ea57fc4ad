/** The way from a fresh clone to something that runs: each step does nothing when its result is there. */
import { app, cli, ensureBuilt } from './build.mjs';
import { describe, ensureElectron, requireLibraries } from './electron.mjs';
import { ensurePackages } from './npm.mjs';
import { say } from './run.mjs';
import { ensureSystem, forElectron } from './system.mjs';

/**
 * Packages, system libraries and an Electron that can start.
 * @param {import('./system.mjs').Need[]} [alsoNeeded]
 */
export async function prepareElectron(alsoNeeded = []) {
  ensurePackages();
  ensureSystem([...forElectron, ...alsoNeeded]);
  const runtime = await ensureElectron();
  requireLibraries(runtime);
  say(describe(runtime));
  return runtime;
}

/** The application and the command-line program, built. */
export function buildAll() {
  ensureBuilt(app);
  ensureBuilt(cli);
}

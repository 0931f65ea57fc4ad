/**
 * From the start of the built application to a window that can be used, beside the barest Electron application there is: one
 * window, one line of HTML. Both are started by Playwright, whose own share is in both figures.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { _electron } from '@playwright/test';
import { app, ensureBuilt } from '../scripts/lib/build.mjs';
import { withVirtualDisplay } from '../scripts/lib/display.mjs';
import { ensureElectron, runtimeEnv } from '../scripts/lib/electron.mjs';
import type { BenchLine } from './bench.ts';

export const name = 'start of the window';

const ROUNDS = 7;
const repository = resolve(import.meta.dirname, '..');

const BARE = `const { app, BrowserWindow } = require('electron');
app.whenReady().then(() => new BrowserWindow({ width: 1280, height: 800 }).loadURL('data:text/html,<button>ready</button>'));
`;

/** Milliseconds from the start of `folder`'s application until a button is there to be pressed; the best of several. */
async function untilUsable(folder: string, env: Record<string, string>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round += 1) {
    const data = mkdtempSync(join(tmpdir(), 'platter-bench-'));
    const from = performance.now();
    const started = await _electron.launch({
      args: [folder, `--user-data-dir=${data}`],
      env: { ...process.env, ...env } as Record<string, string>,
    });
    try {
      const page = await started.firstWindow();
      await page.locator('button:enabled').first().waitFor();
      best = Math.min(best, performance.now() - from);
    } finally {
      await started.close();
      rmSync(data, { recursive: true, force: true });
    }
  }
  return best;
}

export async function run(report: (line: BenchLine) => void): Promise<void> {
  ensureBuilt(app);
  const runtime = await ensureElectron();
  const folder = mkdtempSync(join(tmpdir(), 'platter-bare-'));
  try {
    writeFileSync(join(folder, 'package.json'), '{ "name": "bare", "main": "main.cjs" }');
    writeFileSync(join(folder, 'main.cjs'), BARE);
    process.env.ELECTRON_OVERRIDE_DIST_PATH = runtime.folder;
    const measured = await withVirtualDisplay(async (display) => {
      const env = { ...runtimeEnv(runtime), ...display };
      return { theirs: await untilUsable(folder, env), ours: await untilUsable(repository, env) };
    });
    report({
      what: 'first button',
      ...measured,
      peer: `a bare Electron ${runtime.version}`,
      unit: 'ms',
      better: 'lower',
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

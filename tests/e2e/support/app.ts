/**
 * Starts the built application in the real Electron, with a data folder of its own. `npm test` names the runtime by
 * ELECTRON_OVERRIDE_DIST_PATH, builds `out/` and provides the display.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { _electron, type ElectronApplication, type Page } from '@playwright/test';
import type { CallAnswer, CallArgs, CallName } from '#contract/calls.ts';
import type { Result } from '#contract/error.ts';
import type { AttachedImage, ImageHandle } from '#contract/images.ts';

export const repository = resolve(import.meta.dirname, '../../..');

/** How long the first window may take, milliseconds. */
const START_MS = 15_000;

export interface LaunchOptions {
  /** Files to attach, as arguments. */
  files?: string[];
  /** The data folder; a fresh one, removed by `close`, when left out. */
  userData?: string;
  env?: Record<string, string>;
  args?: string[];
  /** The Electron to start; without it the one that `npm test` chose. */
  executable?: string;
  /** Leave Chromium's sandbox on, which does not start as root. */
  sandbox?: boolean;
}

export interface Launched {
  app: ElectronApplication;
  page: Page;
  userData: string;
  /** A call of the contract, as the page makes it. */
  call<N extends CallName>(name: N, ...args: CallArgs<N>): Promise<Result<CallAnswer<N>>>;
  /** Waits until an image (the only one, when no handle is given) satisfies the condition. */
  image(until: (image: AttachedImage) => boolean, handle?: ImageHandle): Promise<AttachedImage>;
  close(): Promise<void>;
}

export async function launch(options: LaunchOptions = {}): Promise<Launched> {
  const userData = options.userData ?? mkdtempSync(join(tmpdir(), 'platter-e2e-'));
  const env = { ...(process.env as Record<string, string>), ...options.env };
  if (options.sandbox === true) delete env['ELECTRON_DISABLE_SANDBOX'];
  const { app, page } = await firstWindow({
    executablePath: options.executable ?? electronExecutable(),
    // Playwright leaves the sandbox off unless it is told not to; sandbox.e2e.ts has it on.
    chromiumSandbox: options.sandbox === true,
    args: [repository, `--user-data-dir=${userData}`, ...(options.args ?? []), ...(options.files ?? [])],
    env,
  });
  const launched: Launched = {
    app,
    page,
    userData,
    call: (name, ...args) => callFrom(page, name, args),
    image: (until, handle) => waitForImage(page, until, handle),
    close: async () => {
      await app.close();
      if (options.userData === undefined) rmSync(userData, { recursive: true, force: true });
    },
  };
  return launched;
}

/**
 * Starts Electron and waits for its window. On a busy machine Playwright now and then misses the window of a process that runs; that
 * start is ended, said, and tried once more. What the application does wrong it does twice.
 */
async function firstWindow(
  how: Parameters<typeof _electron.launch>[0],
  again = true,
): Promise<{ app: ElectronApplication; page: Page }> {
  const app = await _electron.launch(how);
  try {
    const page = await app.firstWindow({ timeout: START_MS });
    await page.waitForLoadState('load', { timeout: START_MS });
    return { app, page };
  } catch (error) {
    app.process().kill('SIGKILL');
    if (!again) throw error;
    console.warn(`no window after ${START_MS / 1000} s; starting Electron once more`);
    return firstWindow(how, false);
  }
}

/** The runtime that `npm test` chose; without it the official one of `node_modules`. */
export function electronExecutable(): string {
  const folder =
    process.env.ELECTRON_OVERRIDE_DIST_PATH ?? join(repository, 'node_modules', 'electron', 'dist');
  const names: Partial<Record<NodeJS.Platform, string>> = {
    darwin: 'Electron.app/Contents/MacOS/Electron',
    win32: 'electron.exe',
  };
  return join(folder, names[process.platform] ?? 'electron');
}

interface BridgeWindow {
  platter: { call(name: string, ...args: unknown[]): Promise<unknown> };
}

/** Calls the bridge in the page; also with names and arguments that the types forbid. */
export function callFrom<T>(page: Page, name: string, args: unknown[]): Promise<T> {
  return page.evaluate(
    ([name, args]) => (globalThis as unknown as BridgeWindow).platter.call(name, ...args),
    [name, args] as const,
  ) as Promise<T>;
}

async function waitForImage(
  page: Page,
  until: (image: AttachedImage) => boolean,
  handle: ImageHandle | undefined,
): Promise<AttachedImage> {
  let last: AttachedImage[] = [];
  for (let tries = 0; tries < 150; tries++) {
    const answer = await callFrom<Result<AttachedImage[]>>(page, 'images.list', []);
    last = answer.ok ? answer.value : [];
    const found = last.find((image) => (handle === undefined || image.handle === handle) && until(image));
    if (found !== undefined) return found;
    await page.waitForTimeout(100);
  }
  throw new Error(`no image came to be as expected: ${JSON.stringify(last, null, 1)}`);
}

/** Process ids of Platter's utility processes, by the name that the supervisor gave them (`platter-image img-…`). */
export function workerPids(app: ElectronApplication): Promise<Record<string, number>> {
  return app.evaluate(({ app }) =>
    Object.fromEntries(
      app
        .getAppMetrics()
        .filter((metric) => metric.type === 'Utility' && (metric.name ?? '').startsWith('platter-'))
        .map((metric) => [metric.name as string, metric.pid]),
    ),
  );
}

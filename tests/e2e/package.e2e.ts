/** The packed application: made by electron-builder as `npm run dist` does, looked into, and started. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { extractFile, listPackage } from '@electron/asar';
import { FuseV1Options, getCurrentFuseWire } from '@electron/fuses';
import { chromium, expect, test } from '@playwright/test';
import type { Bridge } from '#contract/bridge.ts';
import { packageArguments, packageEnv } from '../../scripts/lib/package.mjs';
import { electronExecutable } from './support/app.ts';

const repository = resolve(import.meta.dirname, '../..');
const EXTENSIONS = ['qcow2', 'vmdk', 'vhd', 'vhdx', 'vdi', 'img', 'raw', 'qed'];

test.skip(process.platform !== 'linux', 'this test packs for Linux');
test.describe.configure({ mode: 'serial' });

let folder: string;
let record: { args: string[]; files: Record<string, string> };
const unpacked = (): string => join(folder, 'dist/linux-unpacked');
const archive = (): string => join(unpacked(), 'resources/app.asar');

test.beforeAll(() => {
  test.setTimeout(240_000);
  folder = mkdtempSync(join(tmpdir(), 'platter-package-'));
  const runtime = resolve(electronExecutable(), '..');
  const version = readFileSync(join(runtime, 'version'), 'utf8').trim();
  const words = packageArguments({
    folder: runtime,
    executable: electronExecutable(),
    version,
    kind: 'chosen',
  });
  const recorded = join(folder, 'fpm.json');
  execFileSync(
    join(repository, 'node_modules/.bin/electron-builder'),
    ['--linux', 'dir', 'deb', ...words, `-c.directories.output=${join(folder, 'dist')}`],
    {
      cwd: repository,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        ...packageEnv(),
        CUSTOM_FPM_PATH: join(import.meta.dirname, 'package/record-fpm.mjs'),
        PLATTER_FPM_RECORD: recorded,
      },
    },
  );
  record = JSON.parse(readFileSync(recorded, 'utf8'));
});

test.afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('has the fuses that let it be nothing but this application', async () => {
  const wire = await getCurrentFuseWire(join(unpacked(), 'platter-app'));
  const isOn = (fuse: FuseV1Options): boolean => String.fromCharCode(Number(wire[fuse])) === '1';
  expect(isOn(FuseV1Options.RunAsNode)).toBe(false);
  expect(isOn(FuseV1Options.EnableNodeOptionsEnvironmentVariable)).toBe(false);
  expect(isOn(FuseV1Options.EnableNodeCliInspectArguments)).toBe(false);
  expect(isOn(FuseV1Options.GrantFileProtocolExtraPrivileges)).toBe(false);
  expect(isOn(FuseV1Options.LoadBrowserProcessSpecificV8Snapshot)).toBe(false);
  expect(isOn(FuseV1Options.OnlyLoadAppFromAsar)).toBe(true);
  expect(isOn(FuseV1Options.EnableCookieEncryption)).toBe(true);
});

test('holds what runs, and neither sources nor other packages nor maps', () => {
  const files = listPackage(archive(), { isPack: false });
  const wanted = [
    '/package.json',
    '/LICENSE',
    '/out/main/main.js',
    '/out/preload/preload.cjs',
    '/out/renderer/index.html',
  ];
  expect(files).toEqual(expect.arrayContaining([...wanted, '/resources/samples/sample.qcow2']));
  expect(
    files.filter((file) =>
      /^\/(main|engine|renderer|tests|scripts|cli)\b|\.map$|\.ts$|\.(cc|hh|md)$/.test(file),
    ),
  ).toEqual([]);
  // The only package is koffi, with the binary for this system, beside the archive.
  const packages = files.filter((file) => /^\/node_modules(\/@[^/]+)?\/[^/@]+$/.test(file));
  const binary = `@koromix/koffi-linux-${process.arch}`;
  expect(packages).toEqual([`/node_modules/${binary}`, '/node_modules/koffi']);
  const place = `app.asar.unpacked/node_modules/${binary}/linux_${process.arch}/koffi.node`;
  expect(existsSync(join(unpacked(), 'resources', place))).toBe(true);
  expect(files.filter((file) => file.includes('musl'))).toEqual([]);
  expect(JSON.parse(extractFile(archive(), 'package.json').toString())).toMatchObject({
    name: 'platter',
    main: 'out/main/main.js',
  });
  expect(existsSync(join(unpacked(), 'resources/default_app.asar'))).toBe(false);
  expect(existsSync(join(unpacked(), 'resources/app'))).toBe(false);
});

test('tells the desktop which files it opens', () => {
  const text = (ending: string): string =>
    Object.entries(record.files).find(([path]) => path.endsWith(ending))?.[1] ?? '';
  const entry = text('.desktop');
  const types = text('.xml');
  for (const extension of EXTENSIONS) expect(types).toContain(`<glob pattern="*.${extension}"/>`);
  const named = [...types.matchAll(/<mime-type type="([^"]+)"/g)].map((match) => match[1]);
  const opened = /^MimeType=(.*);$/m.exec(entry)?.[1].split(';') ?? [];
  expect(new Set(opened)).toEqual(new Set(named));
  expect(entry).toMatch(/^Name=Platter$/m);
  expect(entry).toMatch(/^Name\[zh_CN\]=.+$/m);
  expect(entry).toMatch(/^Exec=\/opt\/Platter\/platter-app %[UF]$/m);
  expect(entry).toMatch(/^Icon=platter-app$/m);
  for (const size of [16, 32, 48, 128, 256, 512]) {
    expect(
      record.args.some((argument) =>
        argument.includes(`/icons/hicolor/${size}x${size}/apps/platter-app.png`),
      ),
    ).toBe(true);
  }
});

test('starts, shows its window and opens a file that it was given', async () => {
  const image = join(folder, 'given.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', image, '10M']);
  const sparse = join(folder, 'sparse.raw');
  writeFileSync(sparse, '');
  truncateSync(sparse, 1 << 20);
  appendFileSync(sparse, new Uint8Array(4096).fill(1));
  truncateSync(sparse, 4 << 20);
  const root = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const child = spawn(
    join(unpacked(), 'platter-app'),
    [...root, `--user-data-dir=${join(folder, 'data')}`, '--remote-debugging-port=0', image, sparse],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  try {
    const browser = await chromium.connectOverCDP(await devTools(child));
    const page = browser.contexts()[0].pages()[0] ?? (await browser.contexts()[0].waitForEvent('page'));
    expect(page.url()).toMatch(/^app:\/\//);
    await expect(page).toHaveTitle('Platter');
    await expect(page.getByText('given.qcow2').first()).toBeVisible();
    // The sample comes out of the archive.
    const sample = await page.evaluate(() =>
      (window as unknown as { platter: Bridge }).platter.call('images.attachSample'),
    );
    expect(sample.ok).toBe(true);
    await expect(page.getByText(/^sample.*\.qcow2$/).first()).toBeVisible();
    // The process of the image asks the system for holes.
    const map = await page.evaluate(async () => {
      const { platter } = window as unknown as { platter: Bridge };
      const listed = await platter.call('images.list');
      const sparse = listed.ok ? listed.value.find(({ name }) => name === 'sparse.raw') : undefined;
      return sparse === undefined ? undefined : platter.call('images.map', sparse.handle, 0, 10);
    });
    expect(map).toMatchObject({
      ok: true,
      value: {
        extents: [
          { start: 0, length: 1 << 20, zero: true, data: false },
          { start: 1 << 20, length: 4096, zero: false, data: true },
          { start: (1 << 20) + 4096, zero: true, data: false },
        ],
      },
    });
    await page.screenshot({ path: join(repository, 'artifacts/screens/packaged.png') });
    await browser.close();
  } finally {
    const ended = new Promise((done) => child.once('exit', done));
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await ended;
    }
  }
});

/** Where Chromium listens for its protocol, which it says on standard error. */
function devTools(child: ChildProcess): Promise<string> {
  return new Promise((done, failed) => {
    let said = '';
    child.stderr?.on('data', (chunk) => {
      said += chunk;
      const address = /DevTools listening on (ws:\S+)/.exec(said)?.[1];
      if (address !== undefined) done(address);
    });
    child.once('exit', (code) => failed(new Error(`the packed application ended with ${code}:\n${said}`)));
  });
}

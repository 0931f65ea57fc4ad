/** One process for every image: what happens to one of them touches nothing else, and nothing is lost with the application. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import type { AttachedImage } from '#contract/images.ts';
import { electronExecutable, launch, repository, workerPids, type Launched } from './support/app.ts';
import { ImageFolder } from './support/images.ts';

const images = new ImageFolder();
let one: string;
let two: string;

test.beforeAll(() => {
  one = images.create('one.qcow2', 'qcow2', { pattern: 0x11 });
  two = images.create('two.qcow2', 'qcow2', { pattern: 0x22 });
});
test.afterAll(() => images.remove());

const isOpen = (image: AttachedImage): boolean => image.info !== undefined && image.process === 'running';

/** The two images, open, with the ids of their processes. */
async function opened(platter: Launched) {
  const first = await platter.image((image) => image.name === 'one.qcow2' && isOpen(image));
  const second = await platter.image((image) => image.name === 'two.qcow2' && isOpen(image));
  const pids = await workerPids(platter.app);
  const pid = ({ handle }: AttachedImage): number => pids[`platter-image ${handle}`];
  return { first, second, firstPid: pid(first), secondPid: pid(second) };
}

/** The first bytes of the guest's disk. */
async function firstByte(platter: Launched, { handle }: AttachedImage): Promise<unknown> {
  const answer = await platter.call('images.read', handle, 'guest', 0, 16);
  return answer.ok ? answer.value[0] : answer.error.code;
}

test.describe('with two images open', () => {
  let platter: Launched;
  test.beforeEach(async () => {
    platter = await launch({ files: [one, two] });
  });
  test.afterEach(() => platter.close());

  test('each has a process of its own, whose memory main can see', async () => {
    const { firstPid, secondPid } = await opened(platter);
    expect(new Set([firstPid, secondPid, platter.app.process().pid]).size).toBe(3);
    const memory = await platter.app.evaluate(({ app }) =>
      app.getAppMetrics().map((metric) => [metric.pid, metric.memory.workingSetSize] as const),
    );
    // KiB; a Node process that does nothing holds some tens of MiB.
    for (const pid of [firstPid, secondPid]) expect(new Map(memory).get(pid)).toBeGreaterThan(10 * 1024);
  });

  test('a killed process is an error on its image only; Reopen starts another', async () => {
    const { first, second, firstPid, secondPid } = await opened(platter);
    process.kill(firstPid, 'SIGKILL');
    const crashed = await platter.image((image) => image.process === 'crashed', first.handle);
    expect(crashed.error).toMatchObject({ code: 'process.crashed', context: { image: 'one.qcow2' } });
    expect(await firstByte(platter, first)).toBe('process.crashed');
    expect(await firstByte(platter, second)).toBe(0x22);

    expect(await platter.call('images.reopen', first.handle)).toMatchObject({
      ok: true,
      value: { format: 'qcow2', virtualSize: 16 * 1024 * 1024 },
    });
    const again = await platter.image(isOpen, first.handle);
    expect(again.error).toBeUndefined();
    expect(await firstByte(platter, first)).toBe(0x11);
    const pids = await workerPids(platter.app);
    expect(pids[`platter-image ${first.handle}`]).not.toBe(firstPid);
    expect(pids[`platter-image ${second.handle}`]).toBe(secondPid);
  });

  test('a process that hangs is an error on its image only; it may come back, or be started over', async () => {
    const { first, second, firstPid } = await opened(platter);
    process.kill(firstPid, 'SIGSTOP');
    const hung = await platter.image((image) => image.process === 'hung', first.handle);
    expect(hung.error).toMatchObject({ code: 'process.hung', context: { image: 'one.qcow2' } });
    expect(await firstByte(platter, second)).toBe(0x22);

    process.kill(firstPid, 'SIGCONT');
    await platter.image((image) => isOpen(image) && image.error === undefined, first.handle);
    expect(await firstByte(platter, first)).toBe(0x11);

    process.kill(firstPid, 'SIGSTOP');
    await platter.image((image) => image.process === 'hung', first.handle);
    expect(await platter.call('images.reopen', first.handle)).toMatchObject({ ok: true });
    expect(await firstByte(platter, first)).toBe(0x11);
    await expect.poll(() => alive(firstPid)).toBe(false);
  });

  test('a detached image takes its process with it', async () => {
    const { first, firstPid, second } = await opened(platter);
    expect(await platter.call('images.detach', first.handle)).toEqual({ ok: true, value: null });
    await expect.poll(() => alive(firstPid)).toBe(false);
    expect(await platter.call('images.list')).toMatchObject({ ok: true, value: [{ handle: second.handle }] });
    expect(await firstByte(platter, first)).toBe('image.unknown-handle');
  });

  test('a second start attaches its files to the first and ends', async () => {
    await opened(platter);
    const third = images.create('third.raw', 'raw');
    const args = ['--no-sandbox', repository, `--user-data-dir=${platter.userData}`, 'third.raw'];
    const second = spawn(electronExecutable(), args, { cwd: images.path, stdio: 'ignore' });
    const code = await new Promise((resolve) => second.once('exit', resolve));
    expect(code).toBe(0);
    const attached = await platter.image((image) => image.name === 'third.raw' && isOpen(image));
    expect(attached.info?.fileSize).toBe(16 * 1024 * 1024);
    rmSync(third);
  });

  test('no process is left when the window is closed', async () => {
    const { firstPid, secondPid } = await opened(platter);
    const ended = new Promise((resolve) => platter.app.process().once('exit', resolve));
    await platter.app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0].close());
    await ended;
    await expect.poll(() => alive(firstPid) || alive(secondPid)).toBe(false);
  });
});

test.describe('settings and open work', () => {
  let userData: string;
  test.beforeEach(() => {
    userData = mkdtempSync(join(tmpdir(), 'platter-data-'));
  });
  test.afterEach(() => rmSync(userData, { recursive: true, force: true }));

  test('survive the end of the application by kill -9', async () => {
    const before = await launch({ userData, files: [one] });
    const { handle } = await before.image(isOpen);
    expect(await before.call('settings.set', { theme: 'dark', locale: 'zh-CN' })).toMatchObject({ ok: true });
    const bindings = [{ driveId: 'd0', image: handle, mode: 'overlay' as const }];
    const session = {
      workspace: 'machine' as const,
      line: '-drive id=d0',
      bindings,
      configs: [],
      selectedImage: handle,
    };
    expect(await before.call('session.save', session)).toMatchObject({ ok: true });
    const ended = new Promise((resolve) => before.app.process().once('exit', resolve));
    process.kill(before.app.process().pid as number, 'SIGKILL');
    await ended;

    const after = await launch({ userData });
    const image = await after.image(isOpen);
    expect(image).toMatchObject({ name: 'one.qcow2', info: { format: 'qcow2' } });
    expect(image.handle).not.toBe(handle);
    const start = await after.call('app.start');
    expect(start).toMatchObject({
      ok: true,
      value: {
        settings: { theme: 'dark', locale: 'zh-CN' },
        session: {
          line: '-drive id=d0',
          bindings: [{ driveId: 'd0', image: image.handle, mode: 'overlay' }],
          selectedImage: image.handle,
        },
      },
    });
    await after.close();
  });

  test('that are damaged are set aside, and the person is told', async () => {
    const half = '{"theme": "dark", "loc';
    writeFileSync(join(userData, 'settings.json'), half);
    writeFileSync(join(userData, 'session.json'), 'nonsense');
    const platter = await launch({ userData });
    const aside = readdirSync(userData)
      .filter((name) => name.includes('.damaged-'))
      .sort();
    expect(aside).toHaveLength(2);
    expect(aside[1]).toMatch(/^settings\.json\.damaged-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d$/);
    expect(readFileSync(join(userData, aside[1]), 'utf8')).toBe(half);
    for (const name of aside) await expect(platter.page.getByText(name)).toBeVisible();
    expect(await platter.call('settings.set', { theme: 'light' })).toMatchObject({ ok: true });
    await platter.close();
    expect(JSON.parse(readFileSync(join(userData, 'settings.json'), 'utf8'))).toMatchObject({
      theme: 'light',
    });
  });
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A process that ended but was not waited for yet counts as gone.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

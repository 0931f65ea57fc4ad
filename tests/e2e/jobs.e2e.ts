/** Jobs from end to end: made in the forms, done in a process of their own, judged by qemu-img. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { expect, test, type Page } from '@playwright/test';
import type { ImageHandle } from '#contract/images.ts';
import { launch, workerPids, type Launched } from './support/app.ts';
import { ImageFolder } from './support/images.ts';
import { accessible, look, picture, resize } from './support/screens.ts';

const folder = new ImageFolder();
let platter: Launched;
let page: Page;

const qemu = (...args: string[]) => execFileSync('qemu-img', args, { cwd: folder.path, encoding: 'utf8' });
const io = (name: string, ...commands: string[]) =>
  execFileSync('qemu-io', ['-f', 'qcow2', ...commands.flatMap((one) => ['-c', one]), folder.at(name)]);

async function start(userData?: string, files: string[] = []): Promise<void> {
  platter = await launch({ files: files.map((name) => folder.at(name)), ...(userData ? { userData } : {}) });
  page = platter.page;
}
/** The next save dialog answers this file. */
const saveAs = (name: string) =>
  platter.app.evaluate(({ dialog }, filePath) => {
    dialog.showSaveDialog = () => Promise.resolve({ canceled: false, filePath });
  }, folder.at(name));
const clipboard = () => platter.app.evaluate(({ clipboard }) => clipboard.readText());
const command = () => page.getByTestId('job-command');
const outcome = () => page.getByTestId('job-outcome');

async function select(name: string): Promise<ImageHandle> {
  const answer = await platter.call('images.list');
  const handle = answer.ok ? (answer.value.find((image) => image.name === name)?.handle ?? '') : '';
  await platter.image((image) => image.info !== undefined && image.busy !== true, handle);
  await page.locator(`[data-image="${name}"]`).click();
  return handle;
}
async function form(image: string, kind: string): Promise<void> {
  await select(image);
  await page.getByRole('tab', { name: 'Jobs' }).click();
  await page.locator(`[data-job-kind=${kind}]`).click();
}
async function choose(label: string, value: string): Promise<void> {
  await page.locator('.job-form').getByRole('combobox', { name: label, exact: true }).click();
  await page.locator('.float-list').getByRole('option', { name: value }).first().click();
}
/** Pictures in both themes and languages, each looked at by axe. */
async function screens(name: string): Promise<void> {
  await accessible(page);
  await picture(page, `jobs-${name}-1280-light-en`);
  await look(page, 'dark', 'zh-CN');
  await accessible(page);
  await picture(page, `jobs-${name}-1280-dark-zh-CN`);
  await resize(platter, 1600, 1000);
  await picture(page, `jobs-${name}-1600-dark-zh-CN`);
  await resize(platter, 1280, 800);
  await look(page, 'light', 'en');
}
const shot = (name: string) => picture(page, `jobs-${name}-1280-light-en`);
/** Work that lasts: compressed by zlib. The progress is seen to move. */
async function startLong(name: string): Promise<void> {
  await form('large.qcow2', 'convert');
  await choose('Format', 'qcow2');
  await page.getByRole('checkbox', { name: 'Write compressed' }).check();
  await choose('Compression', 'zlib');
  await saveAs(name);
  await page.getByTestId('pick-target').click();
  await page.getByTestId('job-run').click();
  await expect(outcome()).toContainText(/[1-9]\d* %/);
}

test.describe.serial('jobs', () => {
  test.beforeAll(async () => {
    folder.create('disk.qcow2', 'qcow2', { size: '64M', pattern: 0x41 });
    qemu('snapshot', '-c', 'clean install', 'disk.qcow2');
    io('disk.qcow2', 'write -P 0x42 32M 1M');
    qemu('bitmap', '--add', 'disk.qcow2', 'daily');
    // Large enough to be seen on its way, and to be stopped.
    folder.create('large.qcow2', 'qcow2', { size: '2G' });
    io('large.qcow2', ...[0, 1, 2, 3].map((part) => `write -P ${part + 1} ${part * 512}M 256M`));
    qemu('create', '-q', '-f', 'qcow2', '-b', 'disk.qcow2', '-F', 'qcow2', 'overlay.qcow2');
    io('overlay.qcow2', 'write -P 0x43 16M 64k');
    qemu('convert', '-O', 'raw', 'disk.qcow2', 'other.raw');
    execFileSync('qemu-io', ['-f', 'raw', '-c', 'write -P 9 0x1800000 512', folder.at('other.raw')]);
    await start(undefined, ['disk.qcow2', 'large.qcow2', 'other.raw']);
  });
  test.afterAll(async () => {
    await platter.close();
    folder.remove();
  });

  test('convert: the command is shown, progress is seen, and qemu-img finds the same disk', async () => {
    await form('large.qcow2', 'convert');
    await expect(page.getByTestId('job-run')).toBeDisabled();
    await choose('Format', 'qcow2');
    await page.getByRole('checkbox', { name: 'Write compressed' }).check();
    await choose('Compression', 'zstd');
    await saveAs('copy.qcow2');
    await page.getByTestId('pick-target').click();
    await expect(page.getByTestId('target-name')).toContainText('copy.qcow2');
    await expect(command()).toHaveText(
      'qemu-img convert -f qcow2 -O qcow2 -c -o compression_type=zstd large.qcow2 copy.qcow2',
    );
    await page.getByTestId('copy-command').click();
    await expect.poll(clipboard).toContain(`${folder.at('large.qcow2')} ${folder.at('copy.qcow2')}`);
    await screens('convert');
    await platter.app.evaluate(({ BrowserWindow, Notification }) => {
      const seen = globalThis as unknown as { bars: number[]; words: string[] };
      seen.bars = [];
      seen.words = [];
      BrowserWindow.getAllWindows()[0].setProgressBar = (part: number) => void seen.bars.push(part);
      Notification.isSupported = () => true;
      Notification.prototype.show = function (this: Electron.Notification) {
        seen.words.push(`${this.title} ${this.body}`);
      };
    });
    await page.getByTestId('job-run').click();
    await expect(outcome().getByRole('progressbar')).toBeVisible();
    await expect(outcome()).toContainText(/\d+ %/);
    await expect(page.getByTestId('jobs-status')).toContainText('1 running');
    await expect.poll(async () => Object.keys(await workerPids(platter.app)).join()).toContain('platter-job');
    await expect(page.getByTestId('job-result')).toContainText('copy.qcow2 is ready', { timeout: 60_000 });
    expect(qemu('compare', 'large.qcow2', 'copy.qcow2')).toContain('Images are identical');
    expect(qemu('check', 'copy.qcow2')).toContain('No errors');
    await expect(page.locator('[data-image="copy.qcow2"]')).toBeVisible();
    const { bars, words } = await platter.app.evaluate(
      () => globalThis as unknown as { bars: number[]; words: string[] },
    );
    expect(bars.some((part) => part > 0 && part < 1)).toBe(true);
    expect(bars.at(-1)).toBe(-1);
    // Only when nobody looks, which a virtual screen without a window manager cannot say.
    for (const word of words) expect(word).toBe('Done Convert: large.qcow2 → copy.qcow2');
    await shot('converted');
  });

  test('cancel leaves no file under the new name, and none beside it', async () => {
    await startLong('stopped.qcow2');
    await shot('running');
    await page.getByTestId('job-cancel').click();
    await expect(outcome()).toContainText('Cancelled. No file was left behind.');
    expect(readdirSync(folder.path).filter((name) => name.includes('stopped'))).toEqual([]);
  });

  test('a dialog that is cancelled changes nothing', async () => {
    const before = await platter.call('images.list');
    await platter.app.evaluate(({ dialog }) => {
      dialog.showSaveDialog = () => Promise.resolve({ canceled: true, filePath: '' });
      dialog.showOpenDialog = () => Promise.resolve({ canceled: true, filePaths: [] });
    });
    expect(await platter.call('images.pick')).toEqual({ ok: true, value: [] });
    expect(await platter.call('images.list')).toEqual(before);
    await form('disk.qcow2', 'convert');
    await page.getByTestId('pick-target').click();
    await expect(page.getByTestId('job-run')).toBeDisabled();
    // A target that was chosen before stays chosen.
    await saveAs('kept.raw');
    await page.getByTestId('pick-target').click();
    await expect(command()).toContainText('kept.raw');
    await platter.app.evaluate(({ dialog }) => {
      dialog.showSaveDialog = () => Promise.resolve({ canceled: true, filePath: '' });
    });
    await page.getByTestId('pick-target').click();
    await expect(command()).toContainText('kept.raw');
    await expect(page.getByTestId('job-run')).toBeEnabled();
    expect(readdirSync(folder.path).filter((name) => name.includes('kept'))).toEqual([]);
  });

  test('an existing file is replaced only after a yes', async () => {
    await form('disk.qcow2', 'convert');
    writeFileSync(folder.at('there.img'), 'something that matters');
    await saveAs('there.img');
    await page.getByTestId('pick-target').click();
    await expect(page.getByText('This file exists')).toBeVisible();
    await page.getByTestId('job-run').click();
    await expect(page.getByTestId('confirm')).toContainText('there.img exists and will be replaced.');
    await page.getByTestId('confirm-no').click();
    await expect(outcome()).toHaveCount(0);
    await page.getByTestId('job-run').click();
    await page.getByTestId('confirm-yes').click();
    await expect(page.getByTestId('job-result')).toContainText('there.img is ready');
    expect(qemu('compare', '-F', 'raw', 'disk.qcow2', 'there.img')).toContain('identical');
  });

  test('a new image, alone and over another one', async () => {
    await page.getByTestId('create-image').click();
    const dialog = page.getByTestId('create-dialog');
    await dialog.getByRole('textbox', { name: 'Size' }).fill('3 GiB');
    await dialog.getByRole('textbox', { name: 'Size' }).press('Enter');
    await expect(dialog.getByTestId('job-command')).toHaveText('qemu-img create -f qcow2 disk.qcow2 3G');
    await dialog.getByRole('combobox', { name: 'Overlay over' }).click();
    await page.locator('.float-list').getByRole('option', { name: 'disk.qcow2' }).click();
    await saveAs('new.qcow2');
    await dialog.getByTestId('pick-target').click();
    await expect(dialog.getByTestId('job-command')).toHaveText(
      'qemu-img create -f qcow2 -b disk.qcow2 -F qcow2 new.qcow2 64M',
    );
    await accessible(page);
    await shot('create');
    await dialog.getByTestId('job-run').click();
    await expect(dialog.getByTestId('job-result')).toContainText('new.qcow2 is ready');
    expect(JSON.parse(qemu('info', '--output=json', 'new.qcow2'))).toMatchObject({
      'virtual-size': 64 * 2 ** 20,
      'backing-filename': 'disk.qcow2',
      'backing-filename-format': 'qcow2',
    });
    // The new image names another one, as every overlay does: the gate asks.
    await page.getByTestId('gate-allow').click();
    await page.keyboard.press('Escape');
    await expect(dialog).toHaveCount(0);
    // Who rests on an image is said where it matters.
    await form('disk.qcow2', 'check');
    await choose('Repair', 'Everything that can be');
    await expect(page.locator('.job-form').getByRole('note')).toContainText('new.qcow2');
    await accessible(page);
    await shot('overlays');
    await page.getByRole('tab', { name: 'Chain' }).click();
    await expect(page.getByTestId('chain-above')).toContainText('new.qcow2');
    await accessible(page);
    await shot('chain');
    await page.getByTestId('chain-above').click();
    for (const kind of ['commit', 'rebase', 'amend', 'copy']) {
      await form('new.qcow2', kind);
      await accessible(page);
      await shot(kind);
    }
    await form('new.qcow2', 'rebase');
    await choose('New one', 'None');
    await page.getByTestId('job-run').click();
    await expect(page.getByTestId('job-result')).toContainText('has its new backing image');
    expect(qemu('info', 'new.qcow2')).not.toContain('backing file');
    expect(qemu('compare', 'disk.qcow2', 'new.qcow2')).toContain('identical');
    const handle = await select('new.qcow2');
    await platter.call('images.detach', handle);
  });

  test('resize: less is said to lose something, and asked for', async () => {
    await form('disk.qcow2', 'resize');
    const size = page.getByTestId('resize-size');
    await size.fill('48 MiB');
    await size.press('Enter');
    await expect(page.getByText('16 MiB less')).toBeVisible();
    await expect(command()).toHaveText('qemu-img resize -f qcow2 --shrink disk.qcow2 48M');
    await screens('resize');
    await page.getByTestId('job-run').click();
    await expect(page.getByTestId('confirm')).toContainText('The last 16 MiB of the disk in disk.qcow2');
    await accessible(page);
    await shot('confirm');
    await page.getByTestId('confirm-no').click();
    expect(JSON.parse(qemu('info', '--output=json', 'disk.qcow2'))['virtual-size']).toBe(64 * 2 ** 20);
    await page.getByTestId('job-run').click();
    await page.getByTestId('confirm-yes').click();
    await expect(page.getByTestId('job-result')).toContainText('The disk had 64 MiB and now has 48 MiB');
    expect(JSON.parse(qemu('info', '--output=json', 'disk.qcow2'))['virtual-size']).toBe(48 * 2 ** 20);
    expect(qemu('check', 'disk.qcow2')).toContain('No errors');
    // What is on the screen is what is on the disk.
    await expect(page.getByTestId('image-facts')).toContainText('48 MiB');
  });

  test('snapshots: kept, brought back, deleted', async () => {
    await select('disk.qcow2');
    await page.getByRole('tab', { name: 'Snapshots' }).click();
    await expect(page.getByTestId('snapshots')).toContainText('clean install');
    await page.getByTestId('snapshot-name').fill('after the shrink');
    await expect(command()).toHaveText("qemu-img snapshot -c 'after the shrink' disk.qcow2");
    await page.getByTestId('job-run').click();
    await expect(page.getByTestId('snapshots')).toContainText('after the shrink');
    expect(qemu('snapshot', '-l', 'disk.qcow2')).toContain('after the shrink');

    await page.getByTestId('snapshots').getByText('clean install').click();
    await expect(command()).toHaveText("qemu-img snapshot -a 'clean install' disk.qcow2");
    await screens('snapshots');
    await page.getByTestId('job-run').click();
    await expect(page.getByTestId('confirm')).toContainText('what it was in clean install');
    await page.getByTestId('confirm-yes').click();
    await expect(page.getByTestId('image-facts')).toContainText('64 MiB');
    // Before the change at 32 MiB.
    expect(() => io('disk.qcow2', 'read -P 0 32M 1M')).not.toThrow();

    await page.locator('.job-form .segment').getByText('Delete').click();
    await page.getByTestId('job-run').click();
    await page.getByTestId('confirm-yes').click();
    await expect(page.getByTestId('snapshots')).not.toContainText('clean install');
    expect(qemu('snapshot', '-l', 'disk.qcow2')).not.toContain('clean install');
    expect(qemu('check', 'disk.qcow2')).toContain('No errors');
  });

  test('compare says the first byte that differs and shows it', async () => {
    await form('disk.qcow2', 'compare');
    await choose('With', 'other.raw');
    await page.getByTestId('job-run').click();
    await expect(page.getByTestId('job-result')).toContainText('They differ from byte 0x1800000 on.');
    await screens('compare');
    await page.getByTestId('show-difference').last().click();
    await expect(page.getByTestId('hex-cursor')).toHaveText('0x0001800000');
    await expect(page.locator('[data-image="other.raw"]')).toHaveAttribute('aria-selected', 'true');
  });

  test('bitmaps, checksum, measure, check', async () => {
    await form('disk.qcow2', 'bitmap');
    await page.getByTestId('bitmap-name').fill('weekly');
    await page.getByTestId('job-run').click();
    await expect(page.getByTestId('bitmap-row').filter({ hasText: 'weekly' })).toBeVisible();
    expect(qemu('info', 'disk.qcow2')).toContain('weekly');
    await shot('bitmaps');

    await form('disk.qcow2', 'checksum');
    await page.getByTestId('job-run').click();
    qemu('convert', '-O', 'raw', 'disk.qcow2', 'sum.raw');
    const sum = execFileSync('sha256sum', [folder.at('sum.raw')], { encoding: 'utf8' }).split(' ')[0];
    await expect(page.getByTestId('job-result')).toHaveText(sum);
    await shot('checksum');

    await form('disk.qcow2', 'measure');
    await page.getByTestId('job-run').click();
    await expect(page.getByTestId('job-result')).toContainText('are needed now');

    // What was chosen before is still chosen.
    await form('disk.qcow2', 'check');
    await choose('Repair', 'Nothing, only look');
    await page.getByTestId('job-run').click();
    await expect(page.getByTestId('job-result')).toContainText('No faults found.');
    await shot('check');
  });

  test('the image’s process closes for a job that writes, and the image is busy by name in a lab', async () => {
    const handle = await select('disk.qcow2');
    const lab = await platter.call('lab.create', {
      line: '-device virtio-blk-pci,drive=d0 -drive file=disk.qcow2,if=none,id=d0,format=qcow2',
      bindings: [{ driveId: 'd0', image: handle, mode: 'write' }],
      workload: {
        rw: 'read',
        bs: 4096,
        iodepth: 1,
        numberIos: 1,
        offset: 0,
        size: 0,
        rwmixread: 50,
        seed: 1,
        fsync: 0,
      },
      qemuVersion: '7.2',
    });
    await form('disk.qcow2', 'resize');
    await page.getByTestId('resize-size').fill('1 GiB');
    await page.getByTestId('resize-size').press('Enter');
    await page.getByTestId('job-run').click();
    await expect(page.locator('.job-form').getByRole('alert')).toContainText(
      'disk.qcow2 is used by an open lab',
    );
    await shot('refused');
    if (lab.ok) await platter.call('lab.close', lab.value.id);
    await page.getByTestId('job-run').click();
    await expect(page.getByTestId('job-result')).toContainText('now has 1 GiB');
  });

  test('a job whose process dies has failed; everything else goes on', async () => {
    await startLong('dies.qcow2');
    const pids = await workerPids(platter.app);
    const job = Object.entries(pids).find(([name]) => name.startsWith('platter-job'));
    process.kill(job?.[1] ?? 0, 'SIGKILL');
    await expect(outcome()).toContainText('ended unexpectedly');
    await expect(outcome()).toContainText('No file was left behind.');
    await expect(page.locator('.status-bar')).toContainText('all well');
    expect(readdirSync(folder.path).filter((name) => name.includes('dies'))).toEqual([]);
    expect(existsSync(folder.at('large.qcow2'))).toBe(true);
    await shot('failed');
  });

  test('the history survives a restart and runs again', async () => {
    await page.getByTestId('jobs-status').click();
    await expect(page.locator('.jobs-popover').getByTestId('job').first()).toContainText('dies.qcow2');
    await accessible(page);
    await shot('history');
    await page.keyboard.press('Escape');
    // Closing stops jobs: asked first.
    await startLong('closed.qcow2');
    const answer = (button: number) =>
      platter.app.evaluate(({ dialog }, button) => {
        dialog.showMessageBoxSync = () => button;
      }, button);
    await answer(0);
    await platter.app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0].close());
    await expect(page.getByTestId('jobs-status')).toContainText('1 running');
    await answer(1);
    const { userData } = platter;
    await platter.app.close();
    expect(readdirSync(folder.path).filter((name) => name.includes('closed'))).toEqual([]);
    await start(userData);
    await page.getByTestId('jobs-status').click();
    const panel = page.locator('.jobs-popover');
    const closed = panel.getByTestId('job').filter({ hasText: 'closed.qcow2' });
    await expect(closed).toHaveAttribute('data-state', 'cancelled');
    const snapshot = panel.getByTestId('job').filter({ hasText: 'there.img' });
    await snapshot.getByRole('button').first().click();
    await expect(snapshot).toContainText('qemu-img convert -f qcow2 -O raw disk.qcow2 there.img');
    await snapshot.getByTestId('job-again').click();
    await expect(page.getByTestId('target-name')).toContainText('there.img');
    await page.getByTestId('job-run').click();
    await page.getByTestId('confirm-yes').click();
    await expect(page.getByTestId('job-result')).toContainText('there.img is ready');
    expect(qemu('compare', '-F', 'raw', 'disk.qcow2', 'there.img')).toContain('identical');
  });
});

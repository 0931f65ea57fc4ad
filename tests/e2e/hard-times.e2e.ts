/** What goes wrong around images: a full disk, a file that is gone, names without end, more images than there may be. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test, type Page } from '@playwright/test';
import { launch, type Launched } from './support/app.ts';
import { ImageFolder } from './support/images.ts';
import { accessible, picture } from './support/screens.ts';

const folder = new ImageFolder();
const LONG = `${'a name that goes on and on '.repeat(8)}.qcow2`;
let platter: Launched;
let page: Page;
let small = false;

async function jobs(image: string, kind: string): Promise<void> {
  await page.locator(`[data-image="${image}"]`).click();
  await page.getByRole('tab', { name: 'Jobs' }).click();
  await page.locator(`[data-job-kind=${kind}]`).click();
}

test.describe.serial('hard times', () => {
  test.beforeAll(async () => {
    folder.create('disk.qcow2', 'qcow2', { size: '16M', pattern: 0x41 });
    execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 7 0 12M', folder.at('disk.qcow2')]);
    folder.create('gone.qcow2', 'qcow2', { size: '16M', pattern: 0x42 });
    folder.create(LONG, 'qcow2', { size: '16M', pattern: 0x43 });
    mkdirSync(folder.at('small'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4M', 'tmpfs', folder.at('small')], {
        stdio: 'ignore',
      });
      small = true;
    } catch {
      // Only root may mount.
    }
    platter = await launch({ files: ['disk.qcow2', 'gone.qcow2', LONG].map((name) => folder.at(name)) });
    page = platter.page;
  });
  test.afterAll(async () => {
    await platter.close();
    if (small) execFileSync('umount', [folder.at('small')]);
    folder.remove();
  });

  test('a full disk: the job fails by name and leaves nothing', async () => {
    test.skip(!small, 'no small file system here');
    await jobs('disk.qcow2', 'convert');
    await platter.app.evaluate(({ dialog }, filePath) => {
      dialog.showSaveDialog = () => Promise.resolve({ canceled: false, filePath });
    }, folder.at('small/copy.img'));
    await page.getByTestId('pick-target').click();
    await page.getByTestId('job-run').click();
    const outcome = page.getByTestId('job-outcome');
    await expect(outcome.getByRole('alert')).toContainText(/^copy\.img could not grow: no space is left/);
    await expect(outcome).toContainText('No file was left behind.');
    await accessible(page);
    await picture(page, 'hard-full-1280-light-en');
    expect(readdirSync(folder.at('small'))).toEqual([]);
  });

  test('a file that is gone: what is open stays readable, a reopen says what is wrong, its return mends it', async () => {
    const bytes = readFileSync(folder.at('gone.qcow2'));
    rmSync(folder.at('gone.qcow2'));
    await page.locator('[data-image="gone.qcow2"]').click();
    await page.getByRole('tab', { name: 'Hex' }).click();
    await expect(page.locator('.hex')).toContainText('42 42 42 42');
    await page.getByRole('button', { name: 'Actions' }).click();
    await page.getByRole('menuitem', { name: 'Reopen' }).click();
    await expect(page.locator('.image-error')).toContainText('gone.qcow2');
    await picture(page, 'hard-gone-1280-light-en');
    writeFileSync(folder.at('gone.qcow2'), bytes);
    await page.getByTestId('reopen').click();
    await expect(page.locator('[data-image="gone.qcow2"]')).toHaveAttribute('data-state', 'good');
  });

  test('a name without end is cut, and nothing is pushed aside', async () => {
    await jobs(LONG, 'compare');
    await accessible(page);
    await picture(page, 'hard-long-1280-light-en');
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    expect(wide).toBe(false);
    await expect(page.locator('.image-header [data-fact=health]')).toBeInViewport();
  });

  test('two hundred images: as many as there may be, one sentence about the rest', async () => {
    test.slow();
    const files = Array.from({ length: 200 }, (_, index) => folder.at(`many-${index}.raw`));
    for (const file of files) writeFileSync(file, new Uint8Array(4096));
    await platter.app.evaluate(({ dialog }, filePaths) => {
      dialog.showOpenDialog = () => Promise.resolve({ canceled: false, filePaths });
    }, files);
    const answer = await platter.call('images.pick');
    expect(answer).toMatchObject({ ok: false, error: { code: 'image.too-many' } });
    await expect(page.locator('[data-image]')).toHaveCount(64);
    await expect(page.locator('[data-image][data-state=good]')).toHaveCount(64, { timeout: 60_000 });
    await page.locator('[data-image="disk.qcow2"]').click();
    await expect(page.locator('.image-header h2')).toHaveText('disk.qcow2');
    await picture(page, 'hard-many-1280-light-en');
  });
});

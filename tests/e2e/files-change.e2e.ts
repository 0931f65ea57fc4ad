/** Files that change under the application: removed, replaced, written to, cut short; and one of Apple's with its newer compressions. */
import { copyFileSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { expect, test, type Page } from '@playwright/test';
import { LZFSE, LZMA } from '#engine/block/formats/dmg/header.ts';
import { ENTROPY_CODED, LZVN_CODED, sentences } from '#engine/block/formats/dmg/testing/lzfse-samples.ts';
import { XZ_CODED } from '#engine/block/formats/dmg/testing/lzma-sample.ts';
import { udif } from '#engine/block/formats/dmg/testing/udif.ts';
import { launch, type Launched } from './support/app.ts';
import { ImageFolder } from './support/images.ts';
import { chooseIn } from './support/lab.ts';
import { accessible, picture } from './support/screens.ts';

const folder = new ImageFolder();
let platter: Launched;
let page: Page;
const io = (name: string, command: string) =>
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', command, folder.at(name)], { stdio: 'ignore' });
const stale = () => page.getByTestId('stale');
async function show(name: string, tab: string): Promise<void> {
  await page.locator(`[data-image="${name}"]`).click();
  await page.getByRole('tab', { name: tab }).click();
}

test.describe.serial('files that change', () => {
  test.beforeAll(async () => {
    folder.create('disk.qcow2', 'qcow2', { pattern: 0x51 });
    folder.create('other.qcow2', 'qcow2', { size: '32M', pattern: 0x52 });
    folder.create('plain.raw', 'raw', { size: '1M', pattern: 0x53 });
    writeFileSync(
      folder.at('apple.dmg'),
      udif([
        { type: LZFSE, bytes: ENTROPY_CODED, length: 4608 },
        { type: LZMA, bytes: XZ_CODED, length: 4096 },
        { type: LZFSE, bytes: LZVN_CODED, length: 1024 },
      ]).image,
    );
    platter = await launch({
      files: ['disk.qcow2', 'plain.raw', 'apple.dmg'].map((name) => folder.at(name)),
    });
    ({ page } = platter);
    await expect(page.locator('[data-state=good]')).toHaveCount(3);
  });
  test.afterAll(async () => {
    await platter.close();
    folder.remove();
  });

  test('one that is written to says so, and shows the new state when it is opened again', async () => {
    await show('disk.qcow2', 'Hex');
    await expect(page.getByTestId('hex')).toContainText('51 51 51 51');
    io('disk.qcow2', 'write -P 0x54 0 64k');
    await expect(stale()).toContainText('was written to');
    await accessible(page);
    await picture(page, 'images-changed-light-en');
    await page.getByTestId('stale-reopen').click();
    await expect(page.getByTestId('hex')).toContainText('54 54 54 54');
    await expect(stale()).toHaveCount(0);
  });

  test('one whose name another file took shows what was opened, then the other one', async () => {
    renameSync(folder.at('other.qcow2'), folder.at('disk.qcow2'));
    await expect(stale()).toContainText('Another file took the name');
    await expect(page.locator('[data-fact=virtual]')).toHaveText('16 MiB');
    await page.getByTestId('stale-reopen').click();
    await expect(page.locator('[data-fact=virtual]')).toHaveText('32 MiB');
    await expect(page.getByTestId('hex')).toContainText('52 52 52 52');
  });

  test('one that is removed stays readable, and is missed by name when it is opened again', async () => {
    copyFileSync(folder.at('disk.qcow2'), folder.at('kept.qcow2'));
    rmSync(folder.at('disk.qcow2'));
    await expect(stale()).toContainText('was removed or renamed');
    await expect(page.locator('[data-fact=health]')).toHaveText('the file is gone');
    await show('disk.qcow2', 'Check');
    await page.getByTestId('check-run').click();
    await expect(page.getByTestId('check-verdict')).toContainText('No errors were found.');
    await page.getByTestId('stale-reopen').click();
    await expect(page.getByRole('alert')).toContainText('disk.qcow2');
    await picture(page, 'images-gone-light-en');
    renameSync(folder.at('kept.qcow2'), folder.at('disk.qcow2'));
    await page.getByTestId('reopen').click();
    await expect(page.locator('[data-fact=health]')).toHaveText('clean');
  });

  test('one that is cut short while it is read says where it ends', async () => {
    await show('plain.raw', 'Hex');
    await expect(page.getByTestId('hex')).toContainText('53 53 53 53');
    truncateSync(folder.at('plain.raw'), 4096);
    await expect(stale()).toContainText('was written to');
    await page.getByTestId('hex-go').fill('512k');
    await page.getByTestId('hex-go').press('Enter');
    await expect(page.getByRole('alert').first()).toContainText('plain.raw');
    await page.getByTestId('stale-reopen').click();
    await expect(page.locator('[data-fact=virtual]')).toHaveText('4 KiB');
    await expect(page.locator('[data-image="disk.qcow2"]')).toHaveAttribute('data-state', 'good');
  });

  test('a dmg with LZFSE and LZMA: its facts, its map, its bytes, and the raw disk that it becomes', async () => {
    const disk = Buffer.concat([sentences(4608), sentences(4096), sentences(1024)]);
    await show('apple.dmg', 'Overview');
    await expect(page.locator('[data-fact=format]')).toHaveText('dmg');
    await expect(page.locator('[data-fact=virtual]')).toHaveText('9.5 KiB');
    await picture(page, 'images-dmg-light-en');
    await show('apple.dmg', 'Map');
    await expect(page.locator('[data-readout=kind]')).toContainText('Compressed');
    await picture(page, 'images-dmg-map-light-en');
    await show('apple.dmg', 'Hex');
    await expect(page.getByTestId('hex')).toContainText(
      [...disk.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
    );
    await show('apple.dmg', 'Jobs');
    await chooseIn(page, page.getByRole('combobox', { name: 'Format', exact: true }), 'raw');
    await platter.app.evaluate(({ dialog }, filePath) => {
      dialog.showSaveDialog = () => Promise.resolve({ canceled: false, filePath });
    }, folder.at('apple.raw'));
    await page.getByTestId('pick-target').click();
    await page.getByTestId('job-run').click();
    await expect(page.getByTestId('job-result')).toContainText('apple.raw is ready');
    expect(readFileSync(folder.at('apple.raw')).equals(disk)).toBe(true);
  });
});

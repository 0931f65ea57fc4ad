/** A folder of many images with names of every kind: all attached at once, found again, looked at, taken off, back after a restart. */
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { expect, test, type Page } from '@playwright/test';
import type { AttachedImage } from '#contract/images.ts';
import { launch, workerPids, type Launched } from './support/app.ts';
import { drop } from './support/drop.ts';
import { ImageFolder } from './support/images.ts';
import { accessible, look, picture, resize } from './support/screens.ts';

/** As main keeps it (main/images/seats.ts). */
const MOST_OPEN = 24;

const folder = new ImageFolder();
/** 255 bytes, as many as a file system takes. */
const LONG = `${'a-very-long-name-of-a-disk-image-'.repeat(8).slice(0, 249)}.qcow2`;
const CHINESE = `${'虚拟机系统磁盘镜像备份'.repeat(8).slice(0, 83)}.qcow2`;
const ODD = 'my disk 💾 with   spaces & "quotes" $HOME 100%.qcow2';
const NAMED = [LONG, CHINESE, ODD];
const MANY = Array.from({ length: 27 }, (_, at) => `vm-${at + 1}.img`);

let platter: Launched;
let page: Page;

const listed = async (): Promise<AttachedImage[]> => {
  const answer = await platter.call('images.list');
  return answer.ok ? answer.value : [];
};
const row = (name: string) => page.locator(`[data-image=${JSON.stringify(name)}]`);
const list = () => page.getByTestId('image-list');
const filter = () => page.getByTestId('image-filter');
const title = () => page.locator('.image-header h2');

test.describe.serial('a library of many images', () => {
  test.beforeAll(async () => {
    const sample = folder.create('vm-1.img', 'qcow2', { size: '8M', pattern: 0x61 });
    for (const name of MANY.slice(1)) copyFileSync(sample, folder.at(name));
    for (const name of NAMED) copyFileSync(sample, folder.at(name));
    platter = await launch();
    ({ page } = platter);
  });
  test.afterAll(async () => {
    await platter.close();
    folder.remove();
  });

  test('all are dropped at once; only so many have a process, the others rest and come back', async () => {
    // Thirty processes are started.
    test.setTimeout(120_000);
    await drop(platter, ...[...MANY, ...NAMED].map((name) => folder.at(name)));
    await expect(page.locator('.status-bar')).toContainText(`${MANY.length + NAMED.length} images`);
    const closed = async () =>
      (await listed())
        .filter(({ info }) => info === undefined)
        .map(({ name, process, error }) => `${name}: ${process} ${error?.code ?? ''}`);
    await expect.poll(closed, { timeout: 90_000 }).toEqual([]);
    const images = await listed();
    expect(images.map(({ name }) => name)).toEqual([...MANY, ...NAMED]);
    const resting = images.filter(({ process }) => process === 'resting');
    expect(resting.length).toBe(images.length - MOST_OPEN);
    expect(Object.keys(await workerPids(platter.app)).length).toBeLessThanOrEqual(MOST_OPEN);
    // The last one was selected, as always.
    await expect(title()).toHaveText(ODD);
    const [sleeper] = resting;
    await filter().fill(sleeper.name);
    await row(sleeper.name).click();
    await page.getByRole('tab', { name: 'Hex' }).click();
    await expect(page.getByTestId('hex')).toContainText('61 61 61 61');
    expect((await listed()).find(({ handle }) => handle === sleeper.handle)).toMatchObject({
      process: 'running',
      opening: 1,
    });
    await page.getByRole('tab', { name: 'Overview' }).click();
  });

  test('the filter and the keyboard find one among them', async () => {
    await filter().fill('qcow2 VM-2');
    await expect(page.getByText(`9 of ${MANY.length + NAMED.length}`)).toBeVisible();
    await filter().press('ArrowDown');
    await expect(list()).toBeFocused();
    await page.keyboard.press('Home');
    await expect(title()).toHaveText('vm-2.img');
    await page.keyboard.press('ArrowDown');
    await expect(title()).toHaveText('vm-20.img');
    await page.keyboard.press('End');
    await expect(title()).toHaveText('vm-27.img');
    await expect(row('vm-27.img')).toHaveAttribute('aria-selected', 'true');
    await filter().fill('nothing like it');
    await expect(page.getByText('No image matches these words.')).toBeVisible();
    await filter().press('Escape');
    await expect(filter()).toHaveValue('');
    // Only what is in view exists.
    expect(await page.getByRole('option').count()).toBeLessThan(MANY.length);
    await page.getByTestId('list-actions').click();
    await page.getByRole('menuitem', { name: 'By name' }).click();
    await list().focus();
    await page.keyboard.press('Home');
    await expect(title()).toHaveText(LONG);
  });

  test('long names leave room for what else there is, in both themes and languages', async () => {
    for (const [theme, locale, width, height] of [
      ['light', 'en', 1280, 800],
      ['dark', 'zh-CN', 1920, 1080],
    ] as const) {
      await look(page, theme, locale);
      await resize(platter, width, height);
      for (const [index, name] of NAMED.entries()) {
        await filter().fill(name.slice(0, 20));
        await row(name).click();
        await expect(title()).toHaveText(name);
        const health = page.locator('[data-fact=health]');
        const [box, pane] = [await health.boundingBox(), await page.locator('.image-header').boundingBox()];
        expect((box?.x ?? Infinity) + (box?.width ?? 0)).toBeLessThan((pane?.x ?? 0) + (pane?.width ?? 0));
        await picture(page, `library-${index}-${theme}-${locale}`);
        await accessible(page);
        await filter().fill('');
      }
      await picture(page, `library-${theme}-${locale}`);
    }
    await look(page, 'light', 'en');
    await resize(platter, 1280, 800);
  });

  test('those that are shown are detached together; the library is there again after a restart', async () => {
    await filter().fill('vm-2');
    await page.getByTestId('list-actions').click();
    await page.getByRole('menuitem', { name: /^Detach/ }).click();
    await expect(page.getByTestId('confirm')).toContainText('9 images leave the list');
    await page.getByTestId('confirm-yes').click();
    await expect.poll(async () => (await listed()).length).toBe(MANY.length + NAMED.length - 9);
    await filter().fill('');
    await row(LONG).click();
    const before = (await listed()).map(({ name }) => name);
    // Kept a moment after the change.
    await page.waitForTimeout(500);
    const { userData } = platter;
    await platter.app.close();
    platter = await launch({ userData });
    ({ page } = platter);
    expect((await listed()).map(({ name }) => name)).toEqual(before);
    await expect(title()).toHaveText(LONG);
    await expect(page.locator('[data-fact=health]')).toHaveText('clean');
  });
});

test('one answer for all that an image names in a folder, and for all images that ask', async () => {
  const chains = new ImageFolder();
  const qemu = (...args: string[]) => execFileSync('qemu-img', args, { cwd: chains.path });
  chains.create('chain-0.qcow2', 'qcow2');
  for (let at = 1; at < 4; at++)
    qemu('create', '-q', '-f', 'qcow2', '-b', `chain-${at - 1}.qcow2`, '-F', 'qcow2', `chain-${at}.qcow2`);
  chains.create('split.vmdk', 'vmdk', { size: '5G', o: 'subformat=twoGbMaxExtentSparse' });
  const launched = await launch({ files: [chains.at('chain-3.qcow2')] });
  const gate = launched.page.getByTestId('gate');
  try {
    await expect(gate).toContainText('chain-2.qcow2');
    await launched.page.getByRole('checkbox', { name: /other files in this folder/ }).check();
    await accessible(launched.page);
    await picture(launched.page, 'images-gate-folder-light-en');
    await launched.page.getByTestId('gate-allow').click();
    await expect(launched.page.locator('[data-fact=chain]')).toHaveText('chain of 4');
    await expect(gate).toHaveCount(0);

    await drop(launched, chains.at('split.vmdk'), chains.at('chain-1.qcow2'), chains.at('chain-2.qcow2'));
    const alike = launched.page.getByRole('checkbox', { name: 'The same answer for the 2 other questions' });
    await expect(alike).toBeVisible();
    await alike.check();
    await expect(gate).toContainText('chain-2.qcow2 → ');
    await launched.page.getByRole('checkbox', { name: /other files in this folder/ }).check();
    await accessible(launched.page);
    await picture(launched.page, 'images-gate-alike-light-en');
    await launched.page.getByTestId('gate-allow').click();
    await expect(launched.page.locator('[data-fact=chain]')).toHaveText('chain of 3');
    await launched.page.locator('[data-image="split.vmdk"]').click();
    await expect(launched.page.getByTestId('extents').getByRole('row')).toHaveCount(4);
    await expect(launched.page.getByTestId('extents')).toContainText('split-s003.vmdk');
    await picture(launched.page, 'images-extents-light-en');
    await expect(gate).toHaveCount(0);
  } finally {
    await launched.close();
    chains.remove();
  }
});

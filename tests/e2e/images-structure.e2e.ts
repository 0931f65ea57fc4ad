/** Structure, owners and search in the Images workspace, on images that the real qemu-img makes. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, type Page } from '@playwright/test';
import { launch, type Launched } from './support/app.ts';
import { accessible, look, picture, resize } from './support/screens.ts';

let folder: string;
const run = (program: string, ...args: string[]) =>
  execFileSync(program, args, { cwd: folder, encoding: 'utf8' });

test.beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'platter-structure-'));
  run('qemu-img', 'create', '-q', '-f', 'qcow2', 'disk.qcow2', '4G');
  run('qemu-img', 'bitmap', '--add', 'disk.qcow2', 'seen');
  run('qemu-io', '-c', 'write -P 0x50 1M 1M', '-c', 'write -P 0x4c 2G 256k', 'disk.qcow2');
  run('qemu-img', 'snapshot', '-c', 'monday', 'disk.qcow2');
  run('qemu-io', '-c', 'write -P 0x51 1M 64k', 'disk.qcow2');
  run('qemu-img', 'create', '-q', '-f', 'vhdx', 'disk.vhdx', '64M');
  run('qemu-io', '-f', 'vhdx', '-c', 'write -P 0x41 0 64k', 'disk.vhdx');
});
test.afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));

const row = (page: Page, path: string) => page.locator(`[data-path="${path}"]`);
const field = (page: Page, name: string) =>
  page
    .getByTestId('structure-fields')
    .getByRole('row')
    .filter({ has: page.getByText(name, { exact: true }) });

test.describe('a qcow2 image', () => {
  let platter: Launched;
  let page: Page;
  test.beforeAll(async () => {
    platter = await launch({ files: [join(folder, 'disk.qcow2')] });
    page = platter.page;
    await platter.image((image) => image.info !== undefined);
    await page.getByRole('tab', { name: 'Structure' }).click();
  });
  test.afterAll(() => platter.close());

  test('the header’s fields lead to the tables, and those to the place that qemu-img maps', async () => {
    await row(page, 'header').click();
    await field(page, 'l1_table_offset').click();
    await expect(page.getByTestId('hex')).toHaveAttribute('aria-valuenow', '40');
    await page.locator('[data-link=node]').click();
    await expect(row(page, 'l1')).toHaveAttribute('aria-selected', 'true');
    // 2 GiB is in the fifth table of 512 MiB each.
    await field(page, '4').click();
    await page.locator('[data-link=node]').click();
    await expect(row(page, 'l1/4')).toHaveAttribute('aria-selected', 'true');
    await field(page, '0').click();
    const map = JSON.parse(run('qemu-img', 'map', '--output=json', 'disk.qcow2')) as {
      start: number;
      offset?: number;
    }[];
    const offset = map.find(({ start }) => start === 2 ** 31)?.offset ?? 0;
    await expect(page.getByTestId('structure-says')).toContainText(`0x${offset.toString(16)}`);
    await page.locator('[data-link=host]').click();
    await expect(page.getByTestId('hex-cursor')).toHaveText(`0x${offset.toString(16).padStart(10, '0')}`);
  });

  test('a byte selects the field that it belongs to', async () => {
    await page.getByRole('tab', { name: 'Structure' }).click();
    await row(page, 'header').click();
    await field(page, 'magic').click();
    await page.getByTestId('hex').focus();
    for (let press = 0; press < 21; press += 1) await page.keyboard.press('ArrowRight');
    await expect(field(page, 'cluster_bits')).toHaveAttribute('aria-selected', 'true');
  });

  test('the tree is worked by keys alone', async () => {
    await row(page, '').click();
    await page.keyboard.press('End');
    await expect(row(page, 'bitmaps')).toHaveAttribute('aria-selected', 'true');
    await page.keyboard.press('ArrowRight');
    await expect(row(page, 'bitmaps/0')).toContainText('seen');
    await page.keyboard.press('ArrowLeft');
    await expect(row(page, 'bitmaps/0')).toHaveCount(0);
    await page.keyboard.press('ArrowUp');
    await expect(row(page, 'snapshots')).toHaveAttribute('aria-selected', 'true');
    await page.keyboard.press('ArrowRight');
    await expect(row(page, 'snapshots/0')).toContainText('monday');
  });

  test('it is readable in both themes and languages', async () => {
    await row(page, 'header').click();
    await field(page, 'cluster_bits').click();
    await accessible(page);
    await picture(page, 'images-structure-light-en');
    await resize(platter, 1920, 1080);
    await look(page, 'dark', 'zh-CN');
    await accessible(page);
    await picture(page, 'images-structure-dark-zh-CN');
    await look(page, 'light', 'en');
    await resize(platter, 1280, 800);
  });

  test('the strip of the file says who owns a byte, and leads to the table and to the guest’s disk', async () => {
    await page.getByRole('tab', { name: 'Map' }).click();
    const strip = page.getByTestId('host-strip');
    const owner = page.getByTestId('host-owner');
    await strip.focus();
    await page.keyboard.press('Home');
    await expect(owner).toHaveText('File 0x0: Header');
    for (let press = 0; press < 40; press += 1) {
      await page.keyboard.press('ArrowRight');
      await page.waitForTimeout(50);
      if (/Data, guest/.test((await owner.textContent()) ?? '')) break;
    }
    const [, host, guest] =
      /File (0x[0-9a-f]+): Data, guest (0x[0-9a-f]+)/.exec((await owner.textContent()) ?? '') ?? [];
    const map = JSON.parse(run('qemu-img', 'map', '--output=json', 'disk.qcow2')) as {
      start: number;
      length: number;
      offset?: number;
    }[];
    const extent = map.find(({ start, length }) => Number(guest) >= start && Number(guest) < start + length);
    expect(Number(host) - (extent?.offset ?? 0)).toBe(Number(guest) - (extent?.start ?? 0));
    await page.getByTestId('host-guest').click();
    await expect(page.locator('[data-readout=host]')).toContainText(host.slice(2));
    await accessible(page);
    await picture(page, 'images-host-light-en');
    await strip.focus();
    await page.keyboard.press('Home');
    await expect(owner).toHaveText('File 0x0: Header');
    await page.keyboard.press('Enter');
    await expect(row(page, 'header')).toHaveAttribute('aria-selected', 'true');
  });

  test('bytes and text are found, forward and backward', async () => {
    await page.getByRole('tab', { name: 'Hex' }).click();
    await page.locator('.hex-tools .segment').first().click();
    await page.getByTestId('hex-go').fill('0');
    await page.getByTestId('hex-go').press('Enter');
    await page.getByTestId('hex-search').fill('4c 4c');
    await page.getByTestId('hex-search').press('Enter');
    await expect(page.getByTestId('hex-cursor')).toHaveText('0x0080000000');
    await page.getByTestId('hex-search').fill('50 50');
    await page.getByTestId('search-previous').click();
    await expect(page.getByTestId('hex-cursor')).toHaveText('0x00001ffffe');
    await page.getByTestId('hex-search').fill('de ad be ef');
    await page.getByTestId('search-next').click();
    await expect(page.getByTestId('search-status')).toHaveText('Not found.');
    await accessible(page);
    await picture(page, 'images-search-light-en');
  });
});

test('a VHDX shows its regions, its block table and its metadata', async () => {
  const platter = await launch({ files: [join(folder, 'disk.vhdx')] });
  const { page } = platter;
  try {
    await platter.image((image) => image.info !== undefined);
    await page.getByRole('tab', { name: 'Structure' }).click();
    await row(page, 'bat').click();
    await field(page, '0').click();
    const says = await page.getByTestId('structure-says').textContent();
    const offset = Number(/(0x[0-9a-f]+)(?!.*0x)/.exec(says ?? '')?.[1]);
    expect([...readFileSync(join(folder, 'disk.vhdx')).subarray(offset, offset + 4)]).toEqual([
      0x41, 0x41, 0x41, 0x41,
    ]);
    await page.getByTestId('structure-tree').focus();
    await accessible(page);
  } finally {
    await platter.close();
  }
});

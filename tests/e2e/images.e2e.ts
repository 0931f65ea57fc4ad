/** The Images workspace on images that the real qemu-img makes: facts, map, bytes, chain, check, gate, errors. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, type Page } from '@playwright/test';
import { launch, type Launched } from './support/app.ts';
import { drop } from './support/drop.ts';
import { accessible, look, picture, resize } from './support/screens.ts';

const MiB = 1024 * 1024;
let folder: string;
let overlay: string;

interface MapRow {
  start: number;
  length: number;
  depth: number;
  present: boolean;
  zero: boolean;
  data: boolean;
  offset?: number;
}

const run = (program: string, ...args: string[]) =>
  execFileSync(program, args, { cwd: folder, encoding: 'utf8' });
const json = (...args: string[]): unknown => JSON.parse(run('qemu-img', ...args));

test.beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'platter-images-'));
  run('qemu-img', 'create', '-q', '-f', 'qcow2', 'base.qcow2', '64M');
  run('qemu-io', '-c', 'write -P 0x11 0 2M', '-c', 'write -P 0x22 32M 1M', 'base.qcow2');
  run('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', 'overlay.qcow2');
  run(
    'qemu-io',
    '-c',
    'write -P 0x33 1M 1M',
    '-c',
    'write -z 8M 1M',
    '-c',
    'write -c -P 0x44 16M 64k',
    'overlay.qcow2',
  );
  run('qemu-img', 'create', '-q', '-f', 'qcow2', 'single.qcow2', '1G');
  run('qemu-io', '-c', 'write -P 0x55 512M 4M', 'single.qcow2');
  writeFileSync(join(folder, 'broken.qcow2'), Buffer.from('514649fb00000009', 'hex'));
  overlay = join(folder, 'overlay.qcow2');
});
test.afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));

/** `64 MiB` as the interface writes it. */
function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  const power = bytes === 0 ? 0 : Math.min(3, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  const digits = Number.isInteger(value) || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${Number(value.toFixed(digits))} ${units[power]}`;
}

const readout = (page: Page, name: string) => page.locator(`[data-readout=${name}]`);
async function tab(page: Page, name: string): Promise<void> {
  await page.getByRole('tab', { name }).click();
}

/** The gate's question is answered with yes. */
async function allow(page: Page): Promise<void> {
  await page.getByTestId('gate-allow').click();
  await expect(page.getByTestId('gate')).toBeHidden();
}

test('an image given as an argument: its facts are those of qemu-img info', async () => {
  const platter = await launch({ files: [join(folder, 'single.qcow2')] });
  const { page } = platter;
  try {
    const info = json('info', '--output=json', 'single.qcow2') as {
      'virtual-size': number;
      'actual-size': number;
    };
    await expect(page.locator('[data-fact=format]')).toHaveText('qcow2 v3');
    await expect(page.locator('[data-fact=virtual]')).toHaveText(sizeText(info['virtual-size']));
    await expect(page.locator('[data-fact=actual]')).toHaveText(sizeText(info['actual-size']));
    await expect(page.locator('[data-fact=chain]')).toHaveText('no backing image');
    await expect(page.locator('[data-fact=health]')).toHaveText('clean');
    const table = page.getByTestId('header-table');
    await expect(table.getByRole('row', { name: 'cluster_bits' })).toContainText('64 KiB');
    await expect(table.getByRole('row', { name: /\bsize\b/ }).first()).toContainText('1 GiB');
  } finally {
    await platter.close();
  }
});

test('the gate: names the file, refuses by default, and opens the chain when told to', async () => {
  const platter = await launch({ files: [overlay] });
  const { page } = platter;
  try {
    const gate = page.getByTestId('gate');
    await expect(gate).toBeVisible();
    await expect(gate).toContainText('overlay.qcow2');
    await expect(page.getByTestId('gate-resolved')).toContainText('base.qcow2');
    await expect(page.getByTestId('gate-deny')).toBeFocused();
    await accessible(page);
    await picture(page, 'images-gate-light-en');
    await page.keyboard.press('Enter');
    await expect(gate).toBeHidden();
    await expect(page.locator('[data-fact=health]')).toHaveText('backing image not open');

    await tab(page, 'Chain');
    await expect(page.getByTestId('chain-layer')).toHaveCount(1);
    await page.getByRole('button', { name: 'Reopen and ask again' }).click();
    await expect(gate).toBeVisible();
    await allow(page);
    await expect(page.locator('[data-fact=chain]')).toHaveText('chain of 2');
    await expect(page.getByTestId('chain-layer')).toHaveCount(2);
    await picture(page, 'images-chain-light-en');
  } finally {
    await platter.close();
  }
});

test.describe('an open chain', () => {
  let platter: Launched;
  test.beforeAll(async () => {
    platter = await launch({ files: [overlay] });
    await allow(platter.page);
    await expect(platter.page.locator('[data-fact=chain]')).toHaveText('chain of 2');
  });
  test.afterAll(async () => platter.close());

  test('the map reads out what qemu-img map says, all along the disk', async () => {
    const { page } = platter;
    await tab(page, 'Map');
    await page.keyboard.press('Alt+h');
    await expect(page.getByRole('button', { name: 'Decimal' })).toBeVisible();
    const rows = json('map', '--output=json', 'overlay.qcow2') as MapRow[];
    const field = page.getByTestId('map-field');
    // One cell is one cluster when zoomed in all the way: the arrow keys then go from cluster to cluster.
    await field.focus();
    for (let i = 0; i < 20; i += 1) await page.keyboard.press('+');
    await expect(page.getByTestId('map-scale')).toHaveText('1 cell = 64 KiB');
    await page.keyboard.press('Home');
    await expect(readout(page, 'guest')).not.toHaveText('—');
    const number = async (name: string) => {
      const text = await readout(page, name).innerText();
      return text === '—' ? null : Number(text.replace(/\D/g, ''));
    };
    let checked = 0;
    for (let cluster = 0; cluster < (20 * MiB) / 65536; cluster += 1) {
      const offset = cluster * 65536;
      const row = rows.find((one) => offset >= one.start && offset < one.start + one.length);
      if (row === undefined) throw new Error(`qemu-img map has no row for ${offset}`);
      if (offset - row.start < 2 * 65536) {
        expect(await number('guest')).toBe(offset);
        const host = row.offset === undefined ? null : row.offset + offset - row.start;
        expect([offset, await number('host')]).toEqual([offset, host]);
        const kind = await readout(page, 'kind').innerText();
        const expected = row.data
          ? row.depth > 0
            ? 'Backing image'
            : row.offset === undefined
              ? 'Compressed'
              : 'Data'
          : row.present
            ? 'Zero'
            : 'Unallocated';
        expect([offset, kind.split('\n').at(-1)?.trim()]).toEqual([offset, expected]);
        if (row.data)
          await expect(readout(page, 'owner')).toHaveText(row.depth > 0 ? 'base.qcow2' : 'overlay.qcow2');
        checked += 1;
      }
      await field.press('ArrowRight');
    }
    expect(checked).toBeGreaterThan(8);
  });

  test('the pointer reads out the cell under it', async () => {
    const { page } = platter;
    const field = page.getByTestId('map-field');
    await tab(page, 'Map');
    await page.getByRole('button', { name: 'Show the whole disk' }).click();
    const side = Number(await field.getAttribute('data-cell')) + 1;
    await field.hover({ position: { x: 3.5 * side, y: side / 2 } });
    await expect(readout(page, 'guest')).toHaveText(/^(0x0*30000|196\u202f608)$/);
    await expect(readout(page, 'kind')).toContainText('Backing image');
  });

  test('the bytes of the guest’s disk and of the file', async () => {
    const { page } = platter;
    await tab(page, 'Hex');
    const hex = page.getByTestId('hex');
    await expect(hex).toContainText('11 11 11 11');
    await page.getByTestId('hex-go').fill('1M');
    await page.getByTestId('hex-go').press('Enter');
    await expect(hex).toContainText('33 33 33 33');
    await page.getByTestId('hex-go').fill('16 MiB');
    await page.getByTestId('hex-go').press('Enter');
    await expect(hex).toContainText('44 44 44 44');
    await page.getByTestId('hex-go').fill('65M');
    await expect(page.getByTestId('hex-go')).toHaveAttribute('aria-invalid', 'true');
    await page.getByTestId('hex-go').fill('');
    await page.getByRole('button', { name: 'File', exact: true }).click();
    await expect(hex).toContainText('51 46 49 fb');
    await expect(page.getByRole('region', { name: 'Inspector' })).toContainText('magic');
  });

  test('the check finds nothing, as qemu-img check does', async () => {
    const { page } = platter;
    const peer = json('check', '--output=json', 'overlay.qcow2') as {
      'total-clusters': number;
      'allocated-clusters': number;
      'image-end-offset': number;
    };
    await tab(page, 'Check');
    await page.getByTestId('check-run').click();
    await expect(page.getByTestId('check-verdict')).toContainText('No errors were found.');
    const facts = page.locator('.check-facts');
    await expect(facts).toContainText(
      `Clusters${peer['total-clusters'].toString().replace(/\B(?=(\d{3})+$)/g, '\u202f')}`,
    );
    await expect(facts).toContainText(`Allocated${peer['allocated-clusters']}`);
    await expect(facts).toContainText(sizeText(peer['image-end-offset']));
  });

  for (const theme of ['light', 'dark'] as const) {
    for (const locale of ['en', 'zh-CN'] as const) {
      test(`every tab, ${theme}, ${locale}: accessible, and pictured in two sizes`, async () => {
        const { page } = platter;
        await look(page, theme, locale);
        for (const [index, name] of ['overview', 'map', 'structure', 'hex', 'chain', 'check'].entries()) {
          await page.getByRole('tab').nth(index).click();
          for (const [width, height] of [
            [1280, 800],
            [1920, 1080],
          ]) {
            await resize(platter, width, height);
            await picture(page, `images-${name}-${theme}-${locale}-${width}x${height}`);
          }
          await accessible(page);
        }
      });
    }
  }
});

test('a file dropped on the window is attached; a broken one says what is wrong and leaves the others alone', async () => {
  const platter = await launch();
  const { page } = platter;
  try {
    await drop(platter, join(folder, 'single.qcow2'));
    await expect(page.locator('[data-fact=virtual]')).toHaveText('1 GiB');

    await drop(platter, join(folder, 'broken.qcow2'));
    const row = page.locator('[data-image="broken.qcow2"]');
    await expect(row).toHaveAttribute('data-state', 'bad');
    const alert = page.getByRole('alert');
    await expect(alert).toBeVisible();
    await alert.getByRole('button', { name: 'Details' }).click();
    await expect(alert).toContainText('broken.qcow2');
    await accessible(page);
    await picture(page, 'images-error-light-en');
    await expect(page.locator('[data-image="single.qcow2"]')).toHaveAttribute('data-state', 'good');

    await page.getByTestId('detach').click();
    await expect(row).toHaveCount(0);
    await expect(page.locator('[data-fact=virtual]')).toHaveText('1 GiB');
  } finally {
    await platter.close();
  }
});

test('a process that dies is an error of its image only, and Reopen brings it back', async () => {
  const platter = await launch({ files: [join(folder, 'single.qcow2'), join(folder, 'base.qcow2')] });
  const { app, page } = platter;
  try {
    const victim = page.locator('[data-image="base.qcow2"]');
    await expect(victim).toHaveAttribute('data-state', 'good');
    const image = await platter.image((one) => one.name === 'base.qcow2' && one.info !== undefined);
    await app.evaluate(({ app }, name) => {
      const metric = app.getAppMetrics().find((one) => one.name === name);
      if (metric !== undefined) process.kill(metric.pid, 'SIGKILL');
    }, `platter-image ${image.handle}`);
    await expect(victim).toHaveAttribute('data-state', 'bad');
    await expect(page.locator('.status-bar')).toContainText('base.qcow2: crashed');
    await expect(page.locator('[data-image="single.qcow2"]')).toHaveAttribute('data-state', 'good');
    await victim.click();
    await picture(page, 'images-crashed-light-en');
    // What is asked for while it is dead fails, and comes once it is back.
    await tab(page, 'Hex');
    await expect(page.getByRole('alert')).toHaveCount(2);
    await page.getByTestId('reopen').click();
    await expect(victim).toHaveAttribute('data-state', 'good');
    await expect(page.getByRole('alert')).toHaveCount(0);
    await expect(page.getByTestId('hex')).toContainText('11 11 11 11');
    await expect(page.locator('.status-bar')).toContainText('Processes: all well');
  } finally {
    await platter.close();
  }
});

test('the sample is one click away', async () => {
  const platter = await launch();
  try {
    await platter.page.getByTestId('attach-sample').click();
    await expect(platter.page.locator('[data-fact=health]')).toHaveText('clean');
  } finally {
    await platter.close();
  }
});

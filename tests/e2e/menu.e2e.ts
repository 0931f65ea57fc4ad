/** The menu bar speaks to the page in the person's language, and the window comes back where it was. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { launch, type Launched } from './support/app.ts';

let userData: string;
let platter: Launched;
test.beforeEach(async () => {
  userData = mkdtempSync(join(tmpdir(), 'platter-menu-'));
  platter = await launch({ userData });
});
test.afterEach(async () => {
  await platter.close();
  rmSync(userData, { recursive: true, force: true });
});

/** Chooses a menu item, as a click on it does. */
function choose(id: string): Promise<void> {
  return platter.app.evaluate(({ Menu, BrowserWindow }, id) => {
    const item = Menu.getApplicationMenu()?.getMenuItemById(id);
    if (item === null || item === undefined) throw new Error(`no menu item ${id}`);
    item.click(undefined, BrowserWindow.getAllWindows()[0]);
  }, id);
}

function menuLabels(): Promise<string[]> {
  return platter.app.evaluate(({ Menu }) => Menu.getApplicationMenu()?.items.map((item) => item.label) ?? []);
}

test('items run the commands of the page', async () => {
  for (const workspace of ['machine', 'lab', 'learn', 'images']) {
    await choose(`workspace.${workspace}`);
    await expect(platter.page.locator(`main[data-workspace=${workspace}]`)).toBeVisible();
  }
  await choose('images.attachSample');
  const sample = await platter.image((image) => image.info !== undefined);
  expect(sample).toMatchObject({ name: 'sample.qcow2', info: { format: 'qcow2', virtualSize: 64 << 20 } });
  const theme = (): Promise<string | undefined> =>
    platter.page.evaluate(() => document.documentElement.dataset['theme']);
  const before = await theme();
  await choose('view.theme.toggle');
  await expect.poll(theme).not.toBe(before);
});

test('the menu changes its language with the page', async () => {
  await platter.call('settings.set', { locale: 'en' });
  expect((await menuLabels())[0]).toBe('&File');
  await platter.call('settings.set', { locale: 'zh-CN' });
  expect((await menuLabels())[0]).toBe('文件(&F)');
});

test('the window opens where it was, and as large', async () => {
  const bounds = { x: 40, y: 60, width: 1100, height: 700 };
  await platter.app.evaluate(
    ({ BrowserWindow }, to) => BrowserWindow.getAllWindows()[0].setBounds(to),
    bounds,
  );
  await platter.app.close();
  platter = await launch({ userData });
  const size = await platter.app.evaluate(({ BrowserWindow }) =>
    BrowserWindow.getAllWindows()[0].getBounds(),
  );
  expect(size).toMatchObject({ width: bounds.width, height: bounds.height });
});

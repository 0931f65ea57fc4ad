/** The window: workspaces, themes, languages, palette, shortcuts, panes, and how every screen looks and is reached. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { launch, type Launched } from './support/app.ts';
import { accessible, look, picture, resize } from './support/screens.ts';

const WORKSPACES = ['images', 'machine', 'lab', 'learn'] as const;

test.describe('one window', () => {
  let platter: Launched;
  const errors: string[] = [];

  test.beforeAll(async () => {
    platter = await launch();
    platter.page.on('pageerror', (error) => errors.push(String(error)));
    platter.page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
  });
  test.afterAll(async () => platter.close());

  test('starts on Images and says how to begin', async () => {
    const { page } = platter;
    await expect(page.locator('main.work')).toHaveAttribute('data-workspace', 'images');
    await expect(page.getByRole('heading', { name: 'Attach a disk image' })).toBeVisible();
    await expect(page.locator('.status-bar')).toContainText('Processes: all well');
  });

  test('goes to every workspace by its button and by its shortcut', async () => {
    const { page } = platter;
    for (const [index, id] of WORKSPACES.entries()) {
      await page.locator(`[data-workspace-tab=${id}]`).click();
      await expect(page.locator('main.work')).toHaveAttribute('data-workspace', id);
      await page.keyboard.press('Control+1');
      await page.keyboard.press(`Control+${index + 1}`);
      await expect(page.locator('main.work')).toHaveAttribute('data-workspace', id);
      await expect(page.locator(`[data-workspace-tab=${id}]`)).toHaveAttribute('aria-current', 'page');
    }
  });

  test('goes back and forward', async () => {
    const { page } = platter;
    const work = page.locator('main.work');
    await page.keyboard.press('Control+2');
    await page.keyboard.press('Control+4');
    await page.keyboard.press('Alt+ArrowLeft');
    await expect(work).toHaveAttribute('data-workspace', 'machine');
    await page.getByRole('button', { name: 'Forward' }).click();
    await expect(work).toHaveAttribute('data-workspace', 'learn');
    await expect(page.getByRole('button', { name: 'Forward' })).toBeDisabled();
  });

  test('runs a command from the palette, by keyboard alone', async () => {
    const { page } = platter;
    await page.keyboard.press('Control+Shift+P');
    const palette = page.getByTestId('palette');
    await expect(palette).toBeVisible();
    await page.keyboard.type('theme dark');
    await expect(palette.getByRole('option').first()).toContainText('Theme: dark');
    await accessible(page);
    await page.keyboard.press('Enter');
    await expect(palette).toBeHidden();
    await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
    await page.keyboard.press('Control+Shift+P');
    await page.keyboard.type('qqqq');
    await expect(palette).toContainText('Nothing has that name.');
    await page.keyboard.press('Escape');
    await expect(palette).toBeHidden();
  });

  test('runs the same commands from the menu', async () => {
    const { app, page } = platter;
    await app.evaluate(({ Menu }) => {
      const find = (items: Electron.MenuItem[]): Electron.MenuItem | undefined =>
        items
          .flatMap((item) => [item, ...(item.submenu?.items ?? [])])
          .find((item) => item.id === 'workspace.lab');
      find(Menu.getApplicationMenu()?.items ?? [])?.click();
    });
    await expect(page.locator('main.work')).toHaveAttribute('data-workspace', 'lab');
  });

  test('follows the system’s theme, and not after a theme was chosen', async () => {
    const { page } = platter;
    const html = page.locator('html');
    await look(page, 'system', 'en');
    for (const theme of ['dark', 'light'] as const) {
      await page.emulateMedia({ colorScheme: theme });
      await expect(html).toHaveAttribute('data-theme', theme);
    }
    await page.keyboard.press('Control+Shift+L');
    await expect(html).toHaveAttribute('data-theme', 'dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await expect(html).toHaveAttribute('data-theme', 'dark');
  });

  test('changes its language at once, without losing what is on the screen', async () => {
    const { page } = platter;
    await page.keyboard.press('Control+4');
    await page.locator('[data-station="9"]').click();
    await page.getByRole('button', { name: '简体中文' }).click();
    await expect(page.locator('[data-workspace-tab=images]')).toContainText('镜像');
    await expect(page.locator('html')).toHaveAttribute('lang', 'zh-CN');
    await expect(page.locator('[data-station="9"]')).toHaveAttribute('aria-checked', 'true');
    await page.getByRole('button', { name: 'English' }).click();
    await expect(page.locator('[data-workspace-tab=images]')).toContainText('Images');
  });

  for (const theme of ['light', 'dark'] as const) {
    for (const locale of ['en', 'zh-CN'] as const) {
      test(`every screen, ${theme}, ${locale}: accessible, and pictured in two sizes`, async () => {
        const { page } = platter;
        await look(page, theme, locale);
        for (const id of WORKSPACES) {
          await page.locator(`[data-workspace-tab=${id}]`).click();
          await expect(page.locator('main.work > *').first()).toBeVisible();
          for (const [width, height] of [
            [1280, 800],
            [1920, 1080],
          ]) {
            await resize(platter, width, height);
            await picture(page, `${id}-empty-${theme}-${locale}-${width}x${height}`);
          }
          await accessible(page);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
          expect(wide, `${id} is wider than the window`).toBe(false);
        }
      });
    }
  }

  test('wrote no error to the console', () => {
    expect(errors).toEqual([]);
  });
});

test('the first run: one press from an empty window to a finished workload', async () => {
  const platter = await launch();
  const { page } = platter;
  try {
    await page.keyboard.press('Control+4');
    await expect(page.locator('[data-step].done')).toHaveCount(0);
    await page.getByTestId('first-run').click();
    await expect(page.locator('main.work')).toHaveAttribute('data-workspace', 'lab');
    await page.keyboard.press('Control+4');
    await expect(page.locator('[data-step].done')).toHaveCount(4);
    await picture(page, 'learn-done-light-en');
    await page.keyboard.press('Control+3');
    await picture(page, 'lab-first-run-light-en');
  } finally {
    await platter.close();
  }
});

test('keeps theme, language, workspace and panes over a restart', async () => {
  const userData = mkdtempSync(join(tmpdir(), 'platter-shell-'));
  const kept = () => {
    const path = join(userData, 'settings.json');
    return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as { layout?: object }) : {};
  };
  try {
    const first = await launch({ userData });
    await look(first.page, 'dark', 'zh-CN');
    await first.page.keyboard.press('Control+4');
    const before = await first.page
      .locator('[data-pane=detail]')
      .evaluate((pane) => pane.getBoundingClientRect().width);
    const bar = first.page.locator('[data-split="learn:detail"]');
    await bar.focus();
    for (let i = 0; i < 2; i += 1) await first.page.keyboard.press('ArrowLeft');
    const width = () =>
      first.page.locator('[data-pane=detail]').evaluate((pane) => pane.getBoundingClientRect().width);
    await expect.poll(width).toBeGreaterThan(before + 20);
    const after = await width();
    await expect.poll(() => Object.keys(kept().layout ?? {})).not.toEqual([]);
    await first.close();

    const second = await launch({ userData });
    await expect(second.page.locator('html')).toHaveAttribute('data-theme', 'dark');
    await expect(second.page.locator('html')).toHaveAttribute('lang', 'zh-CN');
    await expect(second.page.locator('main.work')).toHaveAttribute('data-workspace', 'learn');
    const again = await second.page
      .locator('[data-pane=detail]')
      .evaluate((pane) => pane.getBoundingClientRect().width);
    expect(Math.abs(again - after)).toBeLessThan(3);
    await second.close();
  } finally {
    rmSync(userData, { recursive: true, force: true, maxRetries: 10 });
  }
});

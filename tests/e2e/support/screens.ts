/** Looks at a screen: pictures of it as artefacts, and its accessibility. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import { expect, type Page } from '@playwright/test';
import type { Settings } from '#contract/settings.ts';
import { repository, type Launched } from './app.ts';

const folder = join(repository, 'artifacts', 'screenshots');

/** Gives the page the size, in CSS pixels. */
export async function resize({ app, page }: Launched, width: number, height: number): Promise<void> {
  await app.evaluate(
    ({ BrowserWindow }, [width, height]) => {
      const window = BrowserWindow.getAllWindows()[0];
      window.unmaximize();
      window.setContentSize(width, height);
    },
    [width, height],
  );
  await page.waitForFunction((width) => Math.abs(innerWidth - width) < 2, width);
}

/** Saves `artifacts/screenshots/<name>.png`. */
export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' });
}

/** Asserts that axe finds nothing against WCAG 2.1 A and AA on what is on the screen now. */
export async function accessible(page: Page): Promise<void> {
  // The other mode opens a second page, which an application's window cannot.
  const { violations } = await new AxeBuilder({ page })
    .setLegacyMode(true)
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'])
    .analyze();
  const found = violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${String(node.target)}: ${node.any[0]?.message ?? ''}`),
  );
  expect(found).toEqual([]);
}

/** Changes theme and language by the switches of the title bar, as a person does. */
export async function look(page: Page, theme: Settings['theme'], locale: 'en' | 'zh-CN'): Promise<void> {
  await page.locator(`.locale[lang="${locale}"]`).click();
  await expect(page.locator('html')).toHaveAttribute('lang', locale);
  await page.locator('.theme-button').click();
  await page.getByRole('menuitem').nth({ system: 0, light: 1, dark: 2 }[theme]).click();
  if (theme !== 'system') await expect(page.locator('html')).toHaveAttribute('data-theme', theme);
  await expect(page.getByRole('menuitem')).toHaveCount(0);
}

/** What tests do in the Machine and Lab workspaces, as a person does it. */
import { expect, type Locator, type Page } from '@playwright/test';
import type { Launched } from './app.ts';
import { look, picture, resize } from './screens.ts';

/** Puts a text on the clipboard and pastes it over what stands in the editor. */
export async function pasteLine({ app, page }: Launched, text: string): Promise<void> {
  await app.evaluate(({ clipboard }, line) => clipboard.writeText(line), text);
  // Not by a click: help for what lies under the pointer may stand over the text.
  await page.mouse.move(640, 18);
  await page.locator('.line-editor .cm-content').focus();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Control+V');
  await expect(page.locator('.line-editor .cm-content')).toContainText(text.split('\n')[0].slice(0, 40));
}

/** Goes to a workspace by its button. */
export async function goTo(page: Page, workspace: 'machine' | 'lab'): Promise<void> {
  await page.locator(`[data-workspace-tab=${workspace}]`).click();
  await expect(page.locator('main.work')).toHaveAttribute('data-workspace', workspace);
}

/** Chooses in one of the window's own lists. */
export async function chooseIn(page: Page, trigger: Locator, name: string): Promise<void> {
  await trigger.click();
  await page.locator('.float-list').getByRole('option', { name, exact: true }).click();
  await expect(page.locator('.float-list')).toHaveCount(0);
}

/** Types into a field of the workload, by fio's name. */
export async function setField(page: Page, name: string, value: string): Promise<void> {
  const field = page.getByRole('textbox', { name, exact: true });
  await field.fill(value);
  await field.press('Enter');
  await expect(field).toHaveValue(value);
}

/** Events so far, as the list's head shows them. */
export async function eventTotal(page: Page): Promise<number> {
  return Number(await page.getByTestId('event-total').getAttribute('data-total'));
}

/** Pictures of what is on the screen in both themes, both languages and two sizes. */
export async function screens(platter: Launched, name: string): Promise<void> {
  const { page } = platter;
  for (const [theme, locale, width, height] of [
    ['light', 'en', 1280, 800],
    ['dark', 'zh-CN', 1280, 800],
    ['dark', 'en', 1920, 1080],
    ['light', 'zh-CN', 1920, 1080],
  ] as const) {
    await resize(platter, width, height);
    await look(page, theme, locale);
    await page.mouse.move(width / 2, height - 8);
    await page.waitForTimeout(250);
    await picture(page, `${name}-${width}-${theme}-${locale}`);
  }
  await resize(platter, 1280, 800);
  await look(page, 'light', 'en');
}

/** The Lab workspace: what moves, what can be followed, and what it says when it cannot run. */
import { expect, test } from '@playwright/test';
import { launch, type Launched } from './support/app.ts';
import { ImageFolder } from './support/images.ts';
import { chooseIn, eventTotal, goTo, pasteLine, screens, setField } from './support/lab.ts';
import { accessible, picture } from './support/screens.ts';

test.describe.serial('the laboratory', () => {
  const folder = new ImageFolder();
  let platter: Launched;
  const errors: string[] = [];
  const state = () => platter.page.getByTestId('lab-state');

  test.beforeAll(async () => {
    platter = await launch({ files: [folder.create('disk.qcow2', 'qcow2', { size: '16M', pattern: 0x33 })] });
    platter.page.on('pageerror', (error) => errors.push(String(error)));
    platter.page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
    await platter.image((image) => image.info !== undefined);
  });
  test.afterAll(async () => {
    await platter.close();
    folder.remove();
  });

  test('explains itself before there is anything to run', async () => {
    const { page } = platter;
    await goTo(page, 'lab');
    await expect(page.getByRole('heading', { name: 'Nothing to run yet' })).toBeVisible();
    await accessible(page);
    await screens(platter, 'lab-empty');
  });

  test('says in one sentence why a line cannot run', async () => {
    const { page } = platter;
    await goTo(page, 'machine');
    await pasteLine(
      platter,
      '-device virtio-blk-pci,drive=d0,id=v0 -drive file=x.img,if=none,id=d0,format=qcow2',
    );
    await page.keyboard.press('F5');
    await expect(page.locator('main.work')).toHaveAttribute('data-workspace', 'lab');
    await expect(page.getByRole('alert')).toContainText('d0');
    await accessible(page);
    await screens(platter, 'lab-refused');
  });

  test('runs reads and writes on an overlay, at a speed that can be watched', async () => {
    const { page } = platter;
    await goTo(page, 'machine');
    await chooseIn(page, page.getByRole('combobox', { name: 'Image behind d0' }), 'disk.qcow2');
    await goTo(page, 'lab');
    await chooseIn(page, page.getByRole('combobox', { name: 'rw', exact: true }), 'randrw');
    await setField(page, 'rwmixread', '70');
    await setField(page, 'iodepth', '16');
    await setField(page, 'number_ios', '0');
    await page.keyboard.press('F5');
    await expect(state()).toHaveAttribute('data-state', 'running');
    await expect.poll(() => eventTotal(page)).toBeGreaterThan(2000);
    await accessible(page);
    await screens(platter, 'lab-running');
    await page.keyboard.press('F5');
    await expect(state()).toHaveAttribute('data-state', 'paused');
  });

  test('follows one request through the list, the rings and the timeline', async () => {
    const { page } = platter;
    await page.waitForTimeout(400);
    const chip = page.locator('.rows .chip').last();
    const id = (await chip.innerText()).trim();
    await chip.click();
    await page.getByRole('button', { name: `Only request ${id}` }).click();
    await expect(page.locator('.rows [data-event]').first()).toHaveAttribute('data-event', 'io_submit');
    for (const other of await page.locator('.rows .chip').allInnerTexts()) expect(other.trim()).toBe(id);
    await screens(platter, 'lab-request');
    await page.getByRole('button', { name: `Only request ${id}` }).click();
    await page.getByRole('tab', { name: 'Timeline' }).click();
    await expect(page.getByRole('img', { name: /^Timeline of [1-9]/ })).toBeVisible();
    await accessible(page);
    await screens(platter, 'lab-timeline');
  });

  test('moves through the events by keyboard', async () => {
    const { page } = platter;
    await page.getByRole('tab', { name: 'Events' }).click();
    const list = page.getByRole('grid', { name: 'Events' });
    await list.focus();
    await page.keyboard.press('Home');
    await expect(page.locator('.rows [aria-selected=true]')).toHaveCount(1);
    const first = await page.locator('.rows [aria-selected=true] [role=gridcell]').first().innerText();
    await page.keyboard.press('ArrowDown');
    await expect(page.locator('.rows [aria-selected=true] [role=gridcell]').first()).not.toHaveText(first);
    await page.keyboard.press('End');
    await expect(page.getByRole('button', { name: 'Follow the newest' })).toHaveAttribute(
      'aria-pressed',
      'true',
    );
  });

  test('counts and plots', async () => {
    const { page } = platter;
    await page.getByRole('tab', { name: 'Statistics' }).click();
    await page.keyboard.press('F5');
    await page.waitForTimeout(2500);
    await page.keyboard.press('F5');
    await expect(state()).toHaveAttribute('data-state', 'paused');
    await expect(page.getByRole('row', { name: /^Interrupts/ })).toHaveText(/^Interrupts[1-9]/);
    await accessible(page);
    await screens(platter, 'lab-statistics');
  });

  test('explains what is pointed at, with its place in the specification', async () => {
    const { page } = platter;
    await page.getByRole('img', { name: /^avail ring/ }).hover();
    const card = page.getByRole('region', { name: 'Explanation' });
    await expect(card).toContainText('Available ring');
    await expect(card).toContainText('virtio 1.2, 2.7.6');
    await page.locator('[data-station="4"]').hover();
    await expect(card).toContainText('Exit to KVM');
  });

  test('stops and clears, and did not touch the image', async () => {
    const { page } = platter;
    await expect(page.getByTestId('changed-workload')).toHaveCount(0);
    await setField(page, 'iodepth', '8');
    await expect(page.getByTestId('changed-workload')).toBeVisible();
    await accessible(page);
    await picture(page, 'lab-changed');
    await setField(page, 'iodepth', '16');
    await expect(page.getByTestId('changed-workload')).toHaveCount(0);
    await page.getByRole('button', { name: 'Lab: stop and clear' }).click();
    await expect(state()).toHaveCount(0);
    expect(errors).toEqual([]);
  });
});

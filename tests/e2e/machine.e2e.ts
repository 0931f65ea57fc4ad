/** The Machine workspace: text, drawing, form and problems are views of one line. */
import { expect, test } from '@playwright/test';
import { launch, type Launched } from './support/app.ts';
import { goTo, pasteLine, screens } from './support/lab.ts';
import { accessible } from './support/screens.ts';

const MANY = [
  'qemu-system-x86_64 -machine q35 -object iothread,id=io1 \\',
  ...Array.from({ length: 24 }, (_, i) =>
    [
      `  -drive file=/var/lib/libvirt/images/disk-${i}.qcow2,if=none,id=d${i},format=qcow2 \\`,
      `  -device virtio-blk-pci,drive=d${i},id=disk${i},iothread=io1 \\`,
    ].join('\n'),
  ),
  '  -drive file=spare.raw,if=none,id=spare,format=raw',
].join('\n');

test.describe.serial('the command line', () => {
  let platter: Launched;
  const errors: string[] = [];
  test.beforeAll(async () => {
    platter = await launch();
    platter.page.on('pageerror', (error) => errors.push(String(error)));
    platter.page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
    await goTo(platter.page, 'machine');
  });
  test.afterAll(async () => platter.close());

  const editor = () => platter.page.locator('.line-editor .cm-content');
  const piece = (name: string) => platter.page.locator('.vue-flow__node', { hasText: name });

  test('offers the sample line when there is none', async () => {
    const { page } = platter;
    await expect(page.getByTestId('machine-run')).toBeDisabled();
    await accessible(page);
    await screens(platter, 'machine-empty');
    await page.getByTestId('sample-line').click();
    await expect(editor()).toContainText('-device virtio-blk-pci');
    await expect(page.getByTestId('problem')).not.toHaveCount(0);
    await expect(piece('virtio-disk1').first()).toBeVisible();
    await accessible(page);
    await screens(platter, 'machine-sample');
  });

  test('selects everywhere what is selected in one place', async () => {
    const { page } = platter;
    await page.getByTestId('problem').first().getByRole('button').first().click();
    await expect(page.locator('.line-selected')).not.toHaveCount(0);
    await expect(page.locator('.piece.selected')).toHaveCount(1);
    await piece('qcow2').click();
    await expect(page.locator('.piece.selected')).toContainText('qcow2');
    await expect(page.getByRole('textbox', { name: 'format' })).toHaveValue('qcow2');
    await piece('pci.0').focus();
    await page.keyboard.press('Enter');
    await expect(page.locator('.piece.selected')).toContainText('pci.0');
  });

  test('changes the text from the form, and back with undo', async () => {
    const { page } = platter;
    await piece('qcow2').click();
    const format = page.getByRole('textbox', { name: 'format' });
    await format.fill('raw');
    await format.press('Enter');
    await expect(editor()).toContainText('format=raw');
    await expect(piece('raw').first()).toBeVisible();
    await editor().click();
    await page.keyboard.press('Control+Z');
    await expect(editor()).toContainText('format=qcow2');
    await page.keyboard.press('Control+Shift+Z');
    await expect(editor()).toContainText('format=raw');
    await page.keyboard.press('Control+Z');
  });

  test('shows a problem with its fix under the pointer', async () => {
    const { page } = platter;
    await page.locator('.problem-error').first().hover();
    const tip = page.locator('.cm-tooltip-lint, .cm-tooltip-hover').first();
    await expect(tip).toContainText('scsi');
    await tip.locator('.cm-diagnosticAction').first().click();
    await expect(editor()).not.toContainText('scsi=off');
  });

  test('fixes all at once', async () => {
    const { page } = platter;
    await pasteLine(
      platter,
      '-device virtio-blk-pci,scsi=off,drive=disk1,id=v1 -drive file=a.img,if=none,id=disk2,format=qcow2',
    );
    await page.getByTestId('fix-all').click();
    await expect(editor()).toHaveText(
      '-device virtio-blk-pci,drive=disk2,id=v1 -drive file=a.img,if=none,id=disk2,format=qcow2',
    );
    await expect(page.getByTestId('problem').filter({ hasText: 'disk1' })).toHaveCount(0);
  });

  test('draws many disks, one row each, and stays quick', async () => {
    await pasteLine(platter, MANY);
    await expect(platter.page.locator('.vue-flow__node-piece', { hasText: 'virtio-blk-pci' })).toHaveCount(
      24,
    );
    await accessible(platter.page);
    await screens(platter, 'machine-many');
  });

  test('bears what is no command line', async () => {
    const { page } = platter;
    await pasteLine(platter, `-drive 'file=a,id=\u0007"x -device {"driver": [[[[ -hda`);
    await expect(page.getByTestId('problem')).not.toHaveCount(0);
    await pasteLine(platter, '-'.repeat(20_000));
    await expect(page.locator('main.work')).toHaveAttribute('data-workspace', 'machine');
    expect(errors).toEqual([]);
  });
});

/** "Try it": the installed QEMU judges the line, and the image stays as it was. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import { launch, type Launched } from './support/app.ts';
import { ImageFolder } from './support/images.ts';
import { chooseIn, goTo, pasteLine, screens } from './support/lab.ts';
import { accessible, picture } from './support/screens.ts';

const LINE = `qemu-system-x86_64 -m 4G -enable-kvm -monitor stdio \\
  -device virtio-blk-pci,bus=pci.0,addr=0x9,drive=drive-virtio-disk1,id=virtio-disk1 \\
  -drive file=/var/lib/libvirt/images/vm1.img,if=none,id=drive-virtio-disk2,format=qcow2`;

test.describe.serial('try it', () => {
  const folder = new ImageFolder();
  let platter: Launched;
  let file: string;
  const errors: string[] = [];
  const digest = (): string => createHash('sha256').update(readFileSync(file)).digest('hex');

  test.beforeAll(async () => {
    file = folder.create('vm1.qcow2', 'qcow2', { size: '64M', pattern: 0x5a });
    platter = await launch({ files: [file] });
    platter.page.on('pageerror', (error) => errors.push(String(error)));
    platter.page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
    await platter.image((image) => image.info !== undefined);
    await goTo(platter.page, 'machine');
  });
  test.afterAll(async () => {
    await platter.close();
    folder.remove();
  });

  const panel = () => platter.page.getByTestId('try-panel');

  test('offers it, and has nothing to try without a line', async () => {
    const { page } = platter;
    await expect(page.getByTestId('machine-try')).toBeDisabled();
    await page.getByRole('tab', { name: 'Try it' }).click();
    await expect(panel()).toContainText('What does QEMU itself say?');
    await accessible(page);
  });

  test('shows what QEMU refuses, in its words and at its place', async () => {
    const { page } = platter;
    await pasteLine(platter, LINE);
    await page.getByTestId('machine-try').click();
    await expect(page.getByTestId('try-verdict')).toHaveAttribute('data-verdict', 'refused', {
      timeout: 30_000,
    });
    const message = page.getByTestId('try-message');
    await expect(message).toHaveCount(1);
    await expect(message).toContainText(
      "Property 'virtio-blk-device.drive' can't find value 'drive-virtio-disk1'",
    );
    await expect(message).toHaveAttribute('data-rule', 'D01');
    await message.getByRole('button').click();
    await expect(page.locator('.line-editor .line-selected')).toHaveText('drive-virtio-disk1');
    const reasons = page.getByTestId('try-change');
    for (const reason of ['memory-less', 'accel', 'monitor', 'file-missing'])
      await expect(reasons.and(page.locator(`[data-reason="${reason}"]`))).toHaveCount(1);
    await accessible(page);
    await screens(platter, 'try-refused');
  });

  test('accepts the mended line on the bound image, which stays as it was', async () => {
    const { page } = platter;
    const before = digest();
    await pasteLine(platter, LINE.replace('drive=drive-virtio-disk1', 'drive=drive-virtio-disk2'));
    await expect(panel()).toContainText('changed since');
    await chooseIn(
      page,
      page.getByRole('combobox', { name: 'Image behind drive-virtio-disk2' }),
      'vm1.qcow2',
    );
    await page.getByTestId('machine-try').click();
    await expect(page.getByTestId('try-verdict')).toHaveAttribute('data-verdict', 'accepted', {
      timeout: 30_000,
    });
    await expect(page.getByTestId('try-pci').locator('tr', { hasText: 'virtio-disk1' })).toHaveAttribute(
      'data-state',
      'same',
    );
    await expect(page.getByTestId('try-blocks').locator('tr', { hasText: 'qcow2' }).first()).toHaveAttribute(
      'data-state',
      'same',
    );
    await expect(page.locator('tr[data-state=differs], tr[data-state=missing]')).toHaveCount(0);
    expect(digest()).toBe(before);
    await accessible(page);
    await screens(platter, 'try-accepted');
  });

  test('says so when the program is not installed', async () => {
    const { page } = platter;
    await pasteLine(platter, 'qemu-system-vax -hda disk.img');
    await page.getByTestId('machine-try').click();
    await expect(panel().getByRole('alert')).toContainText('qemu-system-vax is not installed');
    await picture(page, 'try-none-light-en');
    expect(errors).toEqual([]);
  });
});

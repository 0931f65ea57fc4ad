/** The Lab's views of one device: its registers, explained, and the hostile driver. */
import { expect, test } from '@playwright/test';
import { launch, type Launched } from './support/app.ts';
import { ImageFolder } from './support/images.ts';
import { chooseIn, goTo, pasteLine, screens } from './support/lab.ts';
import { accessible } from './support/screens.ts';

test.describe.serial('the device of the laboratory', () => {
  const folder = new ImageFolder();
  let platter: Launched;

  test.beforeAll(async () => {
    platter = await launch({ files: [folder.create('disk.qcow2', 'qcow2', { size: '16M', pattern: 0x33 })] });
    await platter.image((image) => image.info !== undefined);
    const { page } = platter;
    await goTo(page, 'machine');
    await pasteLine(
      platter,
      '-device virtio-blk-pci,drive=d0,id=v0 -drive file=x.img,if=none,id=d0,format=qcow2',
    );
    await chooseIn(page, page.getByRole('combobox', { name: 'Image behind d0' }), 'disk.qcow2');
    await goTo(page, 'lab');
  });
  test.afterAll(async () => {
    await platter.close();
    folder.remove();
  });

  test('shows every register with its meaning, its section and its place', async () => {
    const { page } = platter;
    await page.getByRole('tab', { name: 'Device registers' }).click();
    await accessible(page);
    // Eight requests are under way at a time: when the first is done others are in the rings.
    await page.getByTestId('step-request').click();
    const table = page.getByRole('grid', { name: 'Registers of the device' });
    await expect(table).toContainText('Vendor ID');
    const about = page.getByRole('region', { name: 'The chosen value' });
    await expect(about).toContainText('0x1af4');
    await table.getByText('2 Bus Master').click();
    await expect(about).toContainText('read and write guest memory by itself');
    await expect(about).toContainText('PCI 3.0, 6.2.2');
    await expect(about).toContainText('PCI configuration space, offset 0x04');
    await page.locator('[data-section=features]').click();
    await expect(table).toContainText('29 EVENT_IDX');
    await accessible(page);
    await page.locator('[data-section="chains.0"]').click();
    await expect(table).toContainText('sector');
    await screens(platter, 'lab-device-chains');
    await page.locator('[data-section="queue.0"]').click();
    await table.getByText('avail.idx', { exact: true }).click();
    await expect(about).toContainText('guest-physical address');
    await screens(platter, 'lab-device-queue');
  });

  test('leads from a value of the picture to its explanation, by the keyboard as well', async () => {
    const { page } = platter;
    const about = page.getByRole('region', { name: 'The chosen value' });
    for (const [field, says] of [
      ['used.idx', 'guest-physical address'],
      ['queue_device', 'BAR 4'],
      ['vector 1', 'PCI 3.0, 6.8.2'],
      ['29 EVENT_IDX', 'virtio 1.2'],
    ]) {
      await page.getByRole('tab', { name: 'Path and queue' }).click();
      await page.locator(`[data-detail="${field}"]`).focus();
      await page.keyboard.press('Enter');
      await expect(about).toContainText(field);
      await expect(about).toContainText(says);
    }
    await page.getByRole('tab', { name: 'Path and queue' }).click();
    await accessible(page);
    await screens(platter, 'lab-path-links');
  });

  test('lets a hostile driver try, and shows what the device does', async () => {
    const { page } = platter;
    await page.getByRole('tab', { name: 'Hostile driver' }).click();
    await page.locator('[data-attack=loop] button').click();
    await page.getByTestId('attack-run').click();
    const result = page.getByTestId('attack-result');
    await expect(result).toHaveAttribute('data-outcome', 'needs-reset');
    await expect(page.getByTestId('attack-answers')).toContainText('DEVICE_NEEDS_RESET');
    await expect(page.getByTestId('attack-alive')).toContainText('read its first sector');
    await expect(page.locator('[data-attack=loop]')).toContainText('works again');
    await accessible(page);
    await screens(platter, 'lab-hostile');
    await page.getByTestId('attack-all').click();
    await expect(page.locator('[data-attack] .faint')).toHaveCount(0, { timeout: 20_000 });
    await expect(page.locator('[data-attack] .bad')).toHaveCount(0);
    await page.getByRole('button', { name: /^Show its/ }).click();
    await expect(page.getByRole('grid', { name: 'Events' })).toContainText('virtio_queue_notify');
  });

  test('goes on with the workload afterwards', async () => {
    const { page } = platter;
    await page.keyboard.press('F5');
    await expect(page.getByTestId('lab-state')).toHaveAttribute('data-state', 'finished');
    await expect(page.getByRole('alert')).toHaveCount(0);
  });

  test('lets one try on AHCI and on SCSI what belongs there', async () => {
    const { page } = platter;
    for (const [name, line, id, reads] of [
      ['ahci', '-M q35 -device ide-hd,drive=d0', 'ncq-past-capacity', 'PxIS'],
      ['scsi', '-device virtio-scsi-pci -device scsi-hd,drive=d0', 'scsi-unmap-huge', 'ILLEGAL REQUEST'],
    ] as const) {
      await goTo(page, 'machine');
      await pasteLine(platter, `${line} -drive file=x.img,if=none,id=d0,format=qcow2`);
      await goTo(page, 'lab');
      await page.getByTestId('step-request').click();
      await page.getByRole('tab', { name: 'Hostile driver' }).click();
      await page.locator(`[data-attack=${id}] button`).click();
      await page.getByTestId('attack-run').click();
      await expect(page.getByTestId('attack-result')).toHaveAttribute('data-outcome', 'error');
      await expect(page.getByTestId('attack-answers')).toContainText(reads);
      await accessible(page);
      await screens(platter, `lab-hostile-${name}`);
      await page.keyboard.press('F5');
      await expect(page.getByTestId('lab-state')).toHaveAttribute('data-state', 'finished');
    }
  });
});

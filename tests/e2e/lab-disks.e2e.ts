/** Several disks in one lab: which are run, why not the others, which one is looked at, and the figures of each. */
import { expect, test } from '@playwright/test';
import { launch, type Launched } from './support/app.ts';
import { ImageFolder } from './support/images.ts';
import { chooseIn, goTo, pasteLine, screens } from './support/lab.ts';
import { accessible } from './support/screens.ts';

const LINE = [
  '-drive file=a.img,if=none,id=d0,format=qcow2 -drive file=b.img,if=none,id=d1,format=qcow2',
  '-drive file=c.img,if=none,id=d2,format=qcow2 -device virtio-scsi-pci,id=s0',
  '-device scsi-hd,drive=d0,id=system -device virtio-blk-pci,drive=d1,id=data -device nvme,drive=d2,serial=n,id=fast',
].join(' ');

test.describe.serial('several disks in the laboratory', () => {
  const folder = new ImageFolder();
  let platter: Launched;

  test.beforeAll(async () => {
    const files = ['a', 'b'].map((name) => folder.create(`${name}.qcow2`, 'qcow2', { size: '16M' }));
    platter = await launch({ files });
    const { page } = platter;
    await goTo(page, 'machine');
    await pasteLine(platter, LINE);
    await chooseIn(page, page.getByRole('combobox', { name: 'Image behind d0' }), 'a.qcow2');
    await chooseIn(page, page.getByRole('combobox', { name: 'Image behind d1' }), 'b.qcow2');
    await goTo(page, 'lab');
  });
  test.afterAll(async () => {
    await platter.close();
    folder.remove();
  });

  test('offers those that can run, and says why the others cannot', async () => {
    const { page } = platter;
    const disks = page.getByRole('list', { name: 'Disks of the line' });
    await expect(disks.getByRole('listitem')).toHaveCount(3);
    const box = (name: string) => disks.getByRole('checkbox', { name });
    await expect(box('scsi-hd system')).toBeChecked();
    await expect(box('virtio-blk-pci data')).not.toBeChecked();
    await expect(box('nvme fast')).toBeDisabled();
    await expect(disks.locator('[data-disk=d2]')).toContainText('cannot run this kind of disk');
    await box('virtio-blk-pci data').check();
  });

  test('runs them side by side, and shows the figures of each', async () => {
    const { page } = platter;
    await page.getByTestId('run').click();
    await expect(page.getByTestId('lab-state')).toHaveAttribute('data-state', 'finished');
    await expect(page.getByTestId('requests-done')).toHaveAttribute('data-done', '800');
    await page.getByRole('tab', { name: 'Statistics' }).click();
    const table = page.getByTestId('disks');
    await expect(table.getByRole('row', { name: 'scsi-hd system' })).toContainText('400');
    await expect(table.getByRole('row', { name: 'virtio-blk-pci data' })).toContainText('400');
    await accessible(page);
    await screens(platter, 'lab-disks');
  });

  test('looks at one of them: its registers are shown', async () => {
    const { page } = platter;
    const look = page.getByRole('combobox', { name: 'Looking at' });
    await page.getByRole('tab', { name: 'Device registers' }).click();
    const config = page.locator('[data-section=config]');
    await config.click();
    const table = page.getByRole('grid', { name: 'Registers of the device' });
    await expect(table).toContainText('cmd_per_lun');
    await chooseIn(page, look, 'virtio-blk-pci data');
    await expect(table).toContainText('capacity');
    await expect(table).not.toContainText('cmd_per_lun');
  });
});

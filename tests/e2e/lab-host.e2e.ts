/** The person's hand at the host's side of the Lab: requests that fail when asked to, and a CD-ROM drive's tray. */
import { expect, test } from '@playwright/test';
import { launch, type Launched } from './support/app.ts';
import { ImageFolder } from './support/images.ts';
import { chooseIn, goTo, pasteLine, screens, setField } from './support/lab.ts';
import { accessible } from './support/screens.ts';

test.describe.serial('the host’s side of the laboratory', () => {
  const folder = new ImageFolder();
  let platter: Launched;
  const state = () => platter.page.getByTestId('lab-state');

  test.beforeAll(async () => {
    const disc = (name: string) => folder.create(name, 'raw', { size: '8M', pattern: 0x11 });
    platter = await launch({
      files: [folder.create('disk.qcow2', 'qcow2', { size: '16M' }), disc('one.iso'), disc('two.iso')],
    });
    for (const name of ['disk.qcow2', 'one.iso', 'two.iso'])
      await platter.image((image) => image.name === name && image.info !== undefined);
  });
  test.afterAll(async () => {
    await platter.close();
    folder.remove();
  });

  test('makes writes fail for want of space, which stops the machine until it is run on', async () => {
    const { page } = platter;
    await goTo(page, 'machine');
    await pasteLine(
      platter,
      '-device virtio-blk-pci,drive=d0,werror=stop -drive file=x.img,if=none,id=d0,format=qcow2',
    );
    await chooseIn(page, page.getByRole('combobox', { name: 'Image behind d0' }), 'disk.qcow2');
    await goTo(page, 'lab');
    await setField(page, 'How many requests fail', '2');
    await setField(page, 'iodepth', '1');
    await page.getByTestId('fault-set').click();
    const left = page.getByTestId('fault-left');
    await expect(left).toHaveText('Still to fail with ENOSPC: 2 × write');
    await page.keyboard.press('F5');
    const note = page.getByRole('alert');
    await expect(note).toContainText('ENOSPC');
    await expect(note).toContainText('BLOCK_IO_ERROR');
    await expect(state()).toHaveAttribute('data-state', 'paused');
    await expect(left).toHaveText('Still to fail with ENOSPC: 1 × write');
    await expect(page.getByRole('grid', { name: 'Events' })).toContainText('BLOCK_IO_ERROR');
    await accessible(page);
    await screens(platter, 'lab-fault');
    await page.getByTestId('run-on').click();
    await expect(left).toHaveCount(0);
    await expect(state()).toHaveAttribute('data-state', 'paused');
    await page.getByTestId('run-on').click();
    await expect(state()).toHaveAttribute('data-state', 'finished');
    await expect(note).toHaveCount(0);
  });

  test('empties a CD-ROM drive while the guest reads, and puts another disc in', async () => {
    const { page } = platter;
    await goTo(page, 'machine');
    await pasteLine(platter, '-device ide-cd,drive=cd -drive file=x.iso,if=none,id=cd,media=cdrom');
    await chooseIn(page, page.getByRole('combobox', { name: 'Image behind cd' }), 'one.iso');
    await goTo(page, 'lab');
    await chooseIn(page, page.getByRole('combobox', { name: 'rw', exact: true }), 'randread');
    await setField(page, 'number_ios', '0');
    await page.getByRole('button', { name: 'Lab: run again from the beginning' }).click();
    await expect(state()).toHaveAttribute('data-state', 'running');
    const tray = page.getByTestId('tray');
    await expect(tray).toContainText('one.iso');
    // Nothing is written to a disc, so what is to fail is a read.
    await expect(page.getByRole('combobox', { name: 'Kind of request' })).toContainText('read');
    // The guest holds the tray while its programs have the disc open: QEMU's eject is refused, eject -f is not.
    await expect(tray).toContainText('locked');
    await tray.getByRole('button', { name: 'Eject' }).click();
    await expect(page.getByRole('alert')).toContainText('The guest has locked the tray');
    await expect(tray).toContainText('closed');
    await accessible(page);
    await screens(platter, 'lab-tray-locked');
    await tray.getByLabel('By force (eject -f)').check();
    await tray.getByRole('button', { name: 'Eject' }).click();
    await expect(page.getByRole('alert')).toHaveCount(0);
    await expect(tray).toContainText('open');
    await expect(tray).toContainText('empty');
    await accessible(page);
    await screens(platter, 'lab-tray');
    await tray.getByRole('button', { name: 'Insert' }).click();
    await page.getByRole('menuitem', { name: 'two.iso' }).click();
    await expect(tray).toContainText('two.iso');
    await expect(tray).toContainText('closed');
    await page.keyboard.press('F5');
    await expect(state()).toHaveAttribute('data-state', 'paused');
    await page.getByTestId('step-request').click();
    await expect(page.getByRole('grid', { name: 'Events' })).toContainText('bytes 4096error 0');
    await expect(page.getByRole('alert')).toHaveCount(0);
  });

  test('a run that is over at once shows what it came to on the whole', async () => {
    const { page } = platter;
    await goTo(page, 'machine');
    await pasteLine(platter, '-device virtio-blk-pci,drive=d0 -drive file=x.img,if=none,id=d0,format=qcow2');
    await chooseIn(page, page.getByRole('combobox', { name: 'Image behind d0' }), 'disk.qcow2');
    await goTo(page, 'lab');
    await chooseIn(page, page.getByRole('combobox', { name: 'rw', exact: true }), 'randread');
    // The rings' arrows come to stand where the wheel's lowest line is.
    await setField(page, 'number_ios', '160');
    await page.getByRole('button', { name: 'Lab: run again from the beginning' }).click();
    await expect(state()).toHaveAttribute('data-state', 'finished');
    await page.getByRole('tab', { name: 'Statistics' }).click();
    await expect(page.getByTestId('whole-run')).toContainText('requests/s');
    await accessible(page);
    await screens(platter, 'lab-short');
  });
});

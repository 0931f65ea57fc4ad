/** The partitions of a disk in the overview: drawn, listed as sfdisk lists them, what is wrong with them said, one click from their bytes. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { launch } from './support/app.ts';
import { accessible, look, picture, resize } from './support/screens.ts';

const MIB = 1 << 20;
const folder = mkdtempSync(join(tmpdir(), 'platter-partitions-'));
const at = (name: string): string => join(folder, name);
test.afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));

test.beforeAll(() => {
  const scripts = {
    gpt: 'label: gpt\nsize=64MiB,type=uefi,name=boot\nsize=1MiB,type=21686148-6449-6E6F-744E-656564454649\nsize=300MiB,name="root of the system"\nsize=100MiB,type=swap\nsize=40MiB,type=00112233-4455-6677-8899-AABBCCDDEEFF',
    dos: 'label: dos\n1: size=64MiB,type=c,bootable\n2: size=320MiB,type=f\n5: size=100MiB\n6: size=150MiB,type=82',
  };
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(at(`${name}.raw`), '');
    truncateSync(at(`${name}.raw`), 512 * MIB);
    execFileSync('sfdisk', ['--quiet', at(`${name}.raw`)], { input: script, stdio: 'pipe' });
  }
  execFileSync('qemu-img', ['convert', '-O', 'qcow2', at('gpt.raw'), at('gpt.qcow2')]);
  // The first partition grows into the next one.
  const file = openSync(at('dos.raw'), 'r+');
  writeSync(file, Uint8Array.of(0xff, 0xff, 0x03, 0), 0, 4, 446 + 12);
  closeSync(file);
});

test('the table of a qcow2 image, and the way to the bytes of a partition', async () => {
  const platter = await launch({ files: [at('gpt.qcow2'), at('dos.raw')] });
  const { page } = platter;
  try {
    await page.locator('[data-image="gpt.qcow2"]').click();
    const panel = page.getByTestId('partitions');
    await expect(panel).toContainText('Partitions of the disk: GPT');
    await expect(panel.locator('[data-partition]')).toHaveCount(5);
    await expect(panel.locator('[data-partition="1"]')).toContainText('EFI system');
    await expect(panel.locator('[data-partition="3"]')).toContainText('root of the system');
    await expect(panel.locator('[data-partition="3"]')).toContainText('300 MiB');
    await expect(panel.locator('[data-partition="5"]')).toContainText('00112233-4455-6677-8899-AABBCCDDEEFF');
    await resize(platter, 1280, 800);
    await picture(page, 'images-partitions-light-en');
    await accessible(page);

    await page.locator('[data-image="dos.raw"]').click();
    await expect(panel).toContainText('Partitions of the disk: MBR');
    await expect(panel.locator('[data-partition="5"]')).toContainText('logical');
    await expect(panel.getByRole('alert')).toContainText('overlap');
    await look(page, 'dark', 'zh-CN');
    await picture(page, 'images-partitions-dark-zh');
    await accessible(page);
    await look(page, 'light', 'en');

    await page.locator('[data-image="gpt.qcow2"]').click();
    await panel.locator('[data-partition="2"]').getByRole('button').click();
    await expect(page.getByRole('tab', { name: 'Hex' })).toHaveAttribute('aria-selected', 'true');
    await expect(page.getByTestId('hex')).toContainText((65 * MIB).toString(16).padStart(8, '0'));
  } finally {
    await platter.close();
  }
});

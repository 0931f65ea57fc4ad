/** Encrypted images in the application: unlocked by the person, worked on by jobs, judged by QEMU with the same passphrases. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, type Page } from '@playwright/test';
import { patiently } from '../support/patiently.ts';
import { launch, repository, type Launched } from './support/app.ts';
import { ImageFolder } from './support/images.ts';
import { chooseIn, screens } from './support/lab.ts';
import { accessible, picture } from './support/screens.ts';

const folder = new ImageFolder();
let platter: Launched;
let page: Page;

const FIRST = 'the first passphrase';
const SECOND = 'the second one';
const OBJECTS = ['first', 'second'].flatMap((id) => ['--object', `secret,id=${id},file=${id}.txt`]);
function qemu(program: 'qemu-img' | 'qemu-io', ...args: string[]): string {
  return patiently(() => execFileSync(program, args, { cwd: folder.path, encoding: 'utf8', stdio: 'pipe' }));
}
const luks = (name: string, id: string) => `driver=luks,key-secret=${id},file.filename=${name}`;
const qcow2 = (name: string, id: string) =>
  `driver=qcow2,encrypt.format=luks,encrypt.key-secret=${id},file.filename=${name}`;
/** Whether QEMU opens it with that passphrase, and finds what was written. */
function opens(image: string): boolean {
  try {
    const said = qemu('qemu-io', ...OBJECTS, '--image-opts', image, '-c', 'read -P 0x41 0 1M');
    return said.includes('read 1048576/1048576') && !said.includes('failed');
  } catch {
    return false;
  }
}

const row = (name: string) => page.locator(`[data-image="${name}"]`);
const result = () => page.getByTestId('job-result');
async function select(name: string): Promise<void> {
  await row(name).click();
  await expect(page.locator('.image-header h2')).toHaveText(name);
}
async function form(image: string, kind: string): Promise<void> {
  await select(image);
  await page.getByRole('tab', { name: 'Jobs' }).click();
  await page.locator(`[data-job-kind=${kind}]`).click();
}
const choose = (label: string, value: string) =>
  chooseIn(page, page.locator('.job-form').getByRole('combobox', { name: label, exact: true }), value);
const saveAs = (name: string) =>
  platter.app.evaluate(({ dialog }, filePath) => {
    dialog.showSaveDialog = () => Promise.resolve({ canceled: false, filePath });
  }, folder.at(name));

test.describe.serial('encrypted images', () => {
  test.beforeAll(async () => {
    // Keys are derived several times, and a busy machine takes its time for each.
    test.setTimeout(180_000);
    writeFileSync(folder.at('first.txt'), FIRST);
    writeFileSync(folder.at('second.txt'), SECOND);
    // Made by the terminal's program: QEMU sometimes cannot measure how long a key takes.
    const create = (format: string, options: string, name: string) => {
      const words = ['create', '-q', ...OBJECTS, '-f', format, '-o', options, name, '8M'];
      execFileSync(process.execPath, [join(repository, 'out/cli/platter.mjs'), ...words], {
        cwd: folder.path,
      });
    };
    create('luks', 'key-secret=first,iter-time=10', 'disk.luks');
    create('qcow2', 'encrypt.format=luks,encrypt.key-secret=first,encrypt.iter-time=10', 'disk.qcow2');
    for (const image of [luks('disk.luks', 'first'), qcow2('disk.qcow2', 'first')])
      qemu('qemu-io', ...OBJECTS, '--image-opts', image, '-c', 'write -P 0x41 0 8M');
    qemu('qemu-img', 'create', '-q', '-f', 'qcow2', '-u', '-b', 'disk.luks', '-F', 'luks', 'top.qcow2', '8M');
    platter = await launch({ files: ['disk.luks', 'disk.qcow2'].map((name) => folder.at(name)) });
    page = platter.page;
  });
  test.afterAll(async () => {
    await platter.close();
    folder.remove();
  });

  test('a locked image says so; a wrong passphrase is told, and another try is there', async () => {
    await expect(row('disk.luks')).toContainText('locked');
    await select('disk.luks');
    const unlock = page.getByTestId('unlock');
    await expect(unlock).toContainText('“disk.luks” is encrypted');
    await expect(page.getByTestId('key-slots').locator('[data-active=true]')).toHaveCount(1);
    await accessible(page);
    await screens(platter, 'encrypted-locked');
    const field = unlock.locator('input');
    await field.fill('not this one');
    await field.press('Enter');
    await expect(unlock.getByRole('alert')).toContainText('opens none of the key slots');
    await picture(page, 'encrypted-wrong-1280-light-en');
    await field.fill(FIRST);
    await field.press('Enter');
    await expect(unlock).toHaveCount(0);
    await expect(row('disk.luks')).toContainText('clean');
    await page.getByRole('tab', { name: 'Hex' }).click();
    await expect(page.locator('.hex')).toContainText('41 41 41 41');
  });

  test('an overlay over it opens with what is known; reopened it stays open', async () => {
    await platter.app.evaluate(({ dialog }, filePath) => {
      dialog.showOpenDialog = () => Promise.resolve({ canceled: false, filePaths: [filePath] });
    }, folder.at('top.qcow2'));
    await platter.call('images.pick');
    await page.getByTestId('gate-allow').click();
    await expect(row('top.qcow2')).toContainText('clean');
    const list = await platter.call('images.list');
    const top = list.ok ? list.value.find(({ name }) => name === 'top.qcow2') : undefined;
    expect(top?.info?.backing?.locked).toBeUndefined();
    await platter.call('images.reopen', top?.handle ?? '');
    await expect(row('top.qcow2')).toContainText('clean');
  });

  test('jobs read it; the command names secrets by their files', async () => {
    await form('disk.qcow2', 'convert');
    await expect(page.getByTestId('job-blocked')).toContainText('disk.qcow2 is locked');
    await page.getByTestId('unlock').locator('input').fill(FIRST);
    await page.getByTestId('unlock-run').click();
    await expect(page.getByTestId('unlock')).toHaveCount(0);
    await form('disk.luks', 'compare');
    await choose('With', 'disk.qcow2 · qcow2 · 8 MiB');
    await expect(page.getByTestId('job-command')).toHaveText(
      'qemu-img compare --object secret,id=sec0,file=passphrase.txt --object secret,id=sec1,file=passphrase-2.txt ' +
        `--image-opts ${luks('disk.luks', 'sec0')} ${qcow2('disk.qcow2', 'sec1')}`,
    );
    await page.getByTestId('job-run').click();
    await expect(result()).toHaveText('The disks are identical.');
    await form('top.qcow2', 'checksum');
    await page.getByTestId('job-run').click();
    qemu(
      'qemu-img',
      'convert',
      ...OBJECTS,
      '--image-opts',
      luks('disk.luks', 'first'),
      '-O',
      'raw',
      'sum.raw',
    );
    const sum = execFileSync('sha256sum', [folder.at('sum.raw')], { encoding: 'utf8' }).split(' ')[0];
    await expect(result()).toHaveText(sum);
  });

  test('convert makes encrypted images, which open at once', async () => {
    await form('disk.luks', 'convert');
    await choose('Format', 'qcow2');
    await choose('Encryption', 'LUKS: with a passphrase');
    await page.getByRole('button', { name: 'More options' }).click();
    await choose('Time of one attempt', '0.5 s');
    await saveAs('new.qcow2');
    await page.getByTestId('pick-target').click();
    await expect(page.getByTestId('job-blocked')).toContainText('needs a passphrase');
    await page.getByTestId('passphrase-target').locator('input').fill(SECOND);
    await accessible(page);
    await screens(platter, 'encrypted-convert');
    await page.getByTestId('job-run').click();
    await expect(result()).toContainText('new.qcow2 is ready');
    await expect(row('new.qcow2')).toContainText('clean');
    expect(opens(qcow2('new.qcow2', 'second'))).toBe(true);
    expect(opens(qcow2('new.qcow2', 'first'))).toBe(false);
  });

  test('passphrases are added and erased; the last one only when one insists', async () => {
    await form('disk.luks', 'keys');
    await page.getByTestId('passphrase-added').locator('input').fill(SECOND);
    await expect(page.getByTestId('job-command')).toHaveText(
      'qemu-img amend --object secret,id=sec0,file=passphrase.txt --object secret,id=sec1,file=new-passphrase.txt ' +
        `--image-opts -o state=active,new-secret=sec1 ${luks('disk.luks', 'sec0')}`,
    );
    await page.getByTestId('job-run').click();
    await expect(result()).toContainText('The new passphrase opens the image.', { timeout: 30_000 });
    await expect(page.getByTestId('key-slots').locator('[data-active=true]')).toHaveCount(2);
    await accessible(page);
    await screens(platter, 'encrypted-keys');
    expect(opens(luks('disk.luks', 'second'))).toBe(true);

    await page.locator('.job-form .segment').getByText('Erase').click();
    await page.getByTestId('passphrase-erased').locator('input').fill(FIRST);
    await page.getByTestId('job-run').click();
    await page.getByTestId('confirm-yes').click();
    await expect(result()).toContainText('does not open the image any more', { timeout: 30_000 });
    expect(opens(luks('disk.luks', 'first'))).toBe(false);
    expect(opens(luks('disk.luks', 'second'))).toBe(true);
    // What Platter knew does not open it any more either: it asks again.
    await page.getByTestId('unlock').locator('input').fill(SECOND);
    await page.getByTestId('unlock-run').click();
    await expect(page.getByTestId('unlock')).toHaveCount(0, { timeout: 30_000 });

    await choose('Which', 'Slot 1');
    await expect(page.getByTestId('job-blocked')).toContainText('the last key slot');
    await expect(page.getByTestId('job-run')).toBeDisabled();
    await page.getByRole('checkbox', { name: 'Erase the last key slot' }).check();
    await accessible(page);
    await picture(page, 'encrypted-last-1280-light-en');
    await expect(page.getByTestId('job-command')).toContainText('state=inactive,keyslot=1 --force');
    await page.getByTestId('job-run').click();
    await expect(page.getByTestId('confirm')).toContainText('lost for good');
    await page.getByTestId('confirm-no').click();
    expect(opens(luks('disk.luks', 'second'))).toBe(true);
  });

  test('no passphrase is in what is stored or shown', async () => {
    const rows = await platter.call('jobs.list');
    expect(JSON.stringify(rows)).not.toMatch(new RegExp(`${FIRST}|${SECOND}`));
    for (const file of readdirSync(platter.userData, { withFileTypes: true })) {
      if (!file.isFile()) continue;
      expect(readFileSync(join(platter.userData, file.name), 'latin1'), file.name).not.toMatch(
        new RegExp(`${FIRST}|${SECOND}`),
      );
    }
  });
});

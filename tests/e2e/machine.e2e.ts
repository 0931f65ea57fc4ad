/** The Machine workspace: text, drawing, form and problems are views of one line. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { launch, type Launched } from './support/app.ts';
import { chooseIn, goTo, pasteLine, screens } from './support/lab.ts';
import { accessible, look, picture, resize } from './support/screens.ts';

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

const FAR = '[drive "far"]\n  file = "far.img"\n  if = "none"\n  format = "raw"\n';

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
  /** Nothing for axe to find in either theme and language, and pictures of both. */
  async function seen(name: string): Promise<void> {
    await accessible(platter.page);
    await look(platter.page, 'dark', 'zh-CN');
    await accessible(platter.page);
    await look(platter.page, 'light', 'en');
    await screens(platter, name);
    await resize(platter, 1600, 900);
    await picture(platter.page, `${name}-1600`);
    await resize(platter, 1280, 800);
  }
  const piece = (name: string) => platter.page.locator('.vue-flow__node', { hasText: name });

  test('offers the sample line when there is none', async () => {
    const { page } = platter;
    await expect(page.getByTestId('machine-run')).toBeDisabled();
    await seen('machine-empty');
    await page.getByTestId('sample-line').click();
    await expect(editor()).toContainText('-device virtio-blk-pci');
    await expect(page.getByTestId('problem')).not.toHaveCount(0);
    await expect(piece('virtio-disk1').first()).toBeVisible();
    await seen('machine-sample');
  });

  test('selects everywhere what is selected in one place', async () => {
    const { page } = platter;
    await page.getByTestId('problem').first().getByRole('button').first().click();
    await expect(page.locator('.line-selected')).not.toHaveCount(0);
    await expect(page.locator('.piece.selected')).toHaveCount(1);
    await piece('qcow2').click();
    await expect(page.locator('.piece.selected')).toContainText('qcow2');
    await expect(page.getByRole('combobox', { name: 'format', exact: true })).toHaveText('qcow2');
    await piece('pci.0').focus();
    await page.keyboard.press('Enter');
    await expect(page.locator('.piece.selected')).toContainText('pci.0');
  });

  test('changes the text from the form, and back with undo', async () => {
    const { page } = platter;
    await piece('qcow2').click();
    await chooseIn(page, page.getByRole('combobox', { name: 'format', exact: true }), 'raw');
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

  test('offers what can be written, says what it is, formats and folds', async () => {
    const { page } = platter;
    await pasteLine(
      platter,
      'qemu-system-x86_64 -drive file=a,if=none,id=disk7 -device virtio-blk-pci,drive=',
    );
    await page.keyboard.press('Control+Space');
    const offer = page.locator('.cm-tooltip-autocomplete li', { hasText: 'disk7' });
    await expect(offer).toBeVisible();
    await picture(page, 'machine-completion');
    await page.keyboard.press('Enter');
    await expect(editor()).toContainText('drive=disk7');
    await page.keyboard.type(',queue-siz');
    await expect(page.locator('.cm-tooltip-autocomplete li', { hasText: 'queue-size' })).toBeVisible();
    await page.waitForTimeout(150);
    await page.keyboard.press('Enter');
    await page.keyboard.type('128');
    await expect(editor()).toContainText('queue-size=128');
    await page.getByRole('button', { name: 'One option a line' }).click();
    await expect(page.locator('.line-editor .cm-line')).toHaveCount(3);
    await page.locator('.line-number', { hasText: '128' }).hover();
    await expect(page.locator('.line-help')).toContainText('default 256');
    await page.mouse.move(640, 20);
    await page.locator('.line-fold').last().click();
    await expect(page.locator('.cm-foldPlaceholder')).toHaveCount(1);
    await page.locator('.cm-foldPlaceholder').click();
    await page.getByRole('button', { name: 'Undo' }).click();
    await expect(page.locator('.line-editor .cm-line')).toHaveCount(1);
  });

  test('is edited in the drawing: plugged, moved, taken out, added, undone', async () => {
    const { page } = platter;
    await pasteLine(
      platter,
      '-machine pc -device virtio-blk-pci,id=v1,drive=gone,addr=0x9 -device virtio-blk-pci,id=v2,addr=0x5 -drive file=a,if=none,id=d7,format=raw',
    );
    await piece('d7')
      .first()
      .dragTo(page.locator('.vue-flow__node', { hasText: 'gone' }));
    await expect(editor()).toContainText('id=v1,drive=d7,addr=0x9');
    await piece('v1').first().dragTo(piece('05.0').first());
    await expect(editor()).toContainText('id=v1,drive=d7,addr=0x5');
    await expect(editor()).toContainText('id=v2,addr=0x9');
    await piece('v2').first().focus();
    await page.keyboard.press('Delete');
    await expect(editor()).not.toContainText('v2');
    await page.keyboard.press('Control+Z');
    await expect(editor()).toContainText('id=v2');
    await page.keyboard.press('Control+Shift+Z');
    await expect(editor()).not.toContainText('v2');
    await page.getByTestId('add-piece').click();
    await page.getByRole('menuitem', { name: 'NVMe disk' }).click();
    await expect(editor()).toContainText('-device nvme,drive=drive1,id=nvme1,serial=0001');
    await accessible(page);
  });

  test('has a form of every property, from the schema', async () => {
    const { page } = platter;
    await piece('v1').first().click();
    await page.getByTestId('show-all').click();
    await page.getByRole('switch', { name: 'packed' }).click();
    await expect(editor()).toContainText('packed=on');
    await page.getByRole('switch', { name: 'packed' }).click();
    await expect(editor()).toContainText('packed=off');
    await page.getByRole('textbox', { name: 'Find a property' }).fill('queue-size');
    await page.getByRole('textbox', { name: 'queue-size' }).fill('64');
    await page.getByRole('textbox', { name: 'queue-size' }).press('Enter');
    await expect(editor()).toContainText('queue-size=64');
    expect((await editor().innerText()).match(/queue-size/g)).toHaveLength(1);
    await page.getByRole('textbox', { name: 'Find a property' }).fill('');
    await seen('machine-form');
    await page.getByTestId('show-all').click();
  });

  test('shows addresses and boot order, and explains an error', async () => {
    const { page } = platter;
    await pasteLine(
      platter,
      'qemu-system-x86_64 -machine pc -device virtio-blk-pci,id=v1,drive=gone,addr=0x9,bootindex=1 -drive file=a.img,if=none,id=d7,format=raw -hda b.img',
    );
    await page.getByRole('tab', { name: 'Addresses' }).click();
    await page.getByRole('button', { name: '09.0 v1' }).click();
    await expect(page.locator('.piece.selected')).toContainText('v1');
    await expect(page.getByTestId('boot-entry')).toContainText('bootindex=1');
    await seen('machine-map');
    await page.getByRole('tab', { name: 'Explain error' }).click();
    await page
      .getByTestId('error-paste')
      .fill(
        "qemu-system-x86_64: -device virtio-blk-pci,drive=gone: Property 'virtio-blk-device.drive' can't find value 'gone'",
      );
    await expect(page.getByTestId('explained')).toHaveAttribute('data-rule', 'D01');
    await seen('machine-error');
    await page
      .getByTestId('explained')
      .getByRole('button', { name: /^Replace/ })
      .first()
      .click();
    await expect(editor()).toContainText('drive=d7');
  });

  test('turns the line into other forms, and compares it with another by meaning', async () => {
    const { page } = platter;
    await page.getByRole('tab', { name: 'Convert' }).click();
    const target = page.getByRole('combobox', { name: 'Turn the line into' });
    for (const [name, holds] of [
      ['libvirt XML', "<target dev='vda' bus='virtio'/>"],
      ['QMP commands', '"execute":"device_add"'],
      ['-readconfig file', '[drive "d7"]'],
      ['JSON arguments', '"bootindex":1'],
      ['Shell script', '#!/bin/sh'],
    ]) {
      await chooseIn(page, target, name);
      await expect(page.getByTestId('converted')).toContainText(holds);
    }
    await chooseIn(page, target, 'Long options');
    await expect(page.getByTestId('converted')).toContainText('-drive file=b.img');
    await seen('machine-convert');
    await page.getByTestId('convert-take').click();
    await expect(editor()).toContainText('-drive file=b.img');
    await page.getByRole('tab', { name: 'Compare' }).click();
    await page
      .getByTestId('compare-paste')
      .fill(
        '-machine pc -device virtio-blk-pci,drive=d7,id=v1,addr=9,bootindex=2 -drive id=d7,file=a.img,if=none,format=raw',
      );
    await expect(page.getByTestId('difference').filter({ hasText: 'device v1' })).toContainText('bootindex');
    await seen('machine-compare');
    await page.getByRole('tab', { name: 'Problems' }).click();
  });

  test('reads what was pasted as XML, and says what it leaves out at its place', async () => {
    const { app, page } = platter;
    const xml = [
      "<domain type='kvm'><os><type arch='x86_64' machine='q35'>hvm</type></os><devices>",
      "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/srv/a.qcow2'/>",
      "<target dev='vda' bus='virtio'/></disk>",
      "<disk type='file'><source file='/srv/b'/><target dev='xvdb' bus='xen'/></disk>",
      '</devices></domain>',
    ].join('\n');
    await app.evaluate(({ clipboard }, text) => clipboard.writeText(text), xml);
    await editor().focus();
    await page.keyboard.press('Control+V');
    await expect(page.getByTestId('convert-paste')).toHaveValue(xml);
    await expect(editor()).not.toContainText('domain');
    await expect(page.getByTestId('converted')).toContainText('file.filename=/srv/a.qcow2');
    await page.getByTestId('convert-notes').getByRole('button').first().click();
    const chosen = await page
      .getByTestId('convert-paste')
      .evaluate((field: HTMLTextAreaElement) => field.value.slice(field.selectionStart, field.selectionEnd));
    expect(chosen).toContain("bus='xen'");
    await seen('machine-read');
    await page.getByTestId('convert-take').click();
    await expect(editor()).toContainText('-device virtio-blk-pci');
    await expect(piece('a.qcow2')).toBeVisible();
  });

  test('has recipes, to take and to add to the line', async () => {
    const { page } = platter;
    await page.getByRole('tab', { name: 'Recipes' }).click();
    await page.locator('[data-recipe=fast-virtio-blk]').click();
    await page.getByRole('textbox', { name: 'file.filename' }).fill('/srv/fast disk.img');
    await expect(page.getByTestId('recipe-line')).toContainText('/srv/fast\\ disk.img');
    await seen('machine-recipes');
    await page.getByTestId('recipe-take').click();
    await expect(editor()).toContainText('iothread=io0');
    await page.locator('[data-recipe=throttled]').click();
    await page.getByTestId('recipe-insert').click();
    await expect(editor()).toContainText('node-name=disk1');
    await expect(editor()).toContainText('drive=slow0');
    await page.getByRole('tab', { name: 'Problems' }).click();
    await expect(page.getByTestId('problem').filter({ hasText: 'disk0' })).toHaveCount(0);
    await page.getByRole('button', { name: 'Undo' }).click();
    await expect(editor()).not.toContainText('slow0');
  });

  test('reads a -readconfig file once it was chosen', async () => {
    const { app, page } = platter;
    const folder = mkdtempSync(join(tmpdir(), 'platter-config-'));
    const choose = (name: string, content: string | Uint8Array) => {
      writeFileSync(join(folder, name), content);
      return app.evaluate(
        ({ dialog }, path) => {
          dialog.showOpenDialog = () => Promise.resolve({ canceled: false, filePaths: [path] });
        },
        join(folder, name),
      );
    };
    try {
      await pasteLine(platter, '-machine pc -readconfig vm.cfg -device virtio-blk-pci,drive=far,id=near');
      const row = page.locator('[data-testid=config][data-config="vm.cfg"]');
      await expect(row).toContainText('not read');
      await expect(piece('near').first()).toBeVisible();
      await expect(page.getByTestId('problem')).toHaveCount(0);
      await expect(page.getByTestId('binding')).toHaveCount(0);
      await accessible(page);

      await choose('disk.raw', new Uint8Array(512));
      await row.getByRole('button', { name: 'Choose file…' }).click();
      await expect(page.getByText('disk.raw is no UTF-8 text')).toBeVisible();
      await page.getByRole('button', { name: 'Dismiss' }).click();
      await expect(row).toContainText('not read');

      await choose(
        'machine.cfg',
        `${FAR}[device "inside"]\n  driver = "virtio-blk-pci"\n  drive = "nowhere"\n`,
      );
      await row.getByRole('button', { name: 'Choose file…' }).click();
      await expect(row).toContainText('machine.cfg');
      await expect(piece('far.img').first()).toBeVisible();
      await expect(piece('inside').first()).toBeVisible();
      await expect(page.locator('[data-testid=binding][data-drive=far]')).toBeVisible();
      await expect(page.getByTestId('problem').filter({ hasText: 'nowhere' })).not.toHaveCount(0);
      await expect(page.getByTestId('problem').filter({ hasText: 'far' })).toHaveCount(0);
      await expect(page.locator('.problem-error').first()).toHaveText('vm.cfg');
      await accessible(page);
      await picture(page, 'machine-readconfig');

      await row.getByRole('button', { name: 'Forget machine.cfg' }).click();
      await expect(row).toContainText('not read');
      await expect(page.getByTestId('problem')).toHaveCount(0);
      await expect(piece('inside')).toHaveCount(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }

    // The lab builds what only the file has.
    const image = await platter.call('images.attachSample');
    if (!image.ok) throw new Error(image.error.message);
    const lab = await platter.call('lab.create', {
      line: '-machine pc -readconfig vm.cfg',
      bindings: [{ driveId: 'far', image: image.value, mode: 'overlay' }],
      configs: [
        {
          name: 'vm.cfg',
          file: 'machine.cfg',
          text: `${FAR}[device "inside"]\n  driver = "virtio-blk-pci"\n  drive = "far"\n`,
        },
      ],
      workload: {
        rw: 'read',
        bs: 4096,
        iodepth: 1,
        numberIos: 1,
        offset: 0,
        size: 0,
        rwmixread: 50,
        seed: 1,
        fsync: 0,
      },
      qemuVersion: '7.2',
    });
    if (!lab.ok) throw new Error(lab.error.message);
    expect(lab.value.device).toContain('inside');
    await platter.call('lab.close', lab.value.id);
    await platter.call('images.detach', image.value);
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
    await seen('machine-many');
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

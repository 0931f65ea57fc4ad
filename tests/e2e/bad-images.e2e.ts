/** Files that are not what they should be: a clear error at the right place, everything else unharmed, nothing written. */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { expect, test } from '@playwright/test';
import type { AttachedImage } from '#contract/images.ts';
import { launch, type Launched } from './support/app.ts';
import { ImageFolder } from './support/images.ts';

const images = new ImageFolder();
let platter: Launched;
let before: Map<string, string>;

test.beforeAll(async () => {
  images.create('sound.qcow2', 'qcow2', { pattern: 0x33 });
  writeFileSync(images.at('letter.txt'), 'Dear reader, this is no image.\n');
  writeFileSync(images.at('empty.qcow2'), '');
  mkdirSync(images.at('folder.qcow2'));

  copyFileSync(images.at('sound.qcow2'), images.at('cut-header.qcow2'));
  truncateSync(images.at('cut-header.qcow2'), 60);
  copyFileSync(images.at('sound.qcow2'), images.at('cut-tables.qcow2'));
  truncateSync(images.at('cut-tables.qcow2'), 1000);

  // Byte 72: incompatible features, big-endian; bit 50 means nothing to anybody.
  const unknown = readFileSync(images.at('sound.qcow2'));
  unknown.writeBigUInt64BE(1n << 50n, 72);
  writeFileSync(images.at('future.qcow2'), unknown);

  images.create('base.raw', 'raw', { pattern: 0x44 });
  const backing = (name: string): string => `backing_file=${images.at(name)},backing_fmt=raw`;
  images.create('top.qcow2', 'qcow2', { o: backing('base.raw') });
  images.create('gone.raw', 'raw');
  images.create('orphan.qcow2', 'qcow2', { o: backing('gone.raw') });
  // Only now does it name a file that is not there.
  rmSync(images.at('gone.raw'));

  before = digests();
  platter = await launch({ files: [images.at('sound.qcow2')] });
});
test.afterAll(async () => {
  await platter.close();
  images.remove();
});
test.afterEach(async () => {
  const [sound] = await listed('sound.qcow2');
  const answer = await platter.call('images.read', sound.handle, 'guest', 0, 1);
  expect(answer.ok && answer.value[0]).toBe(0x33);
  expect(digests()).toEqual(before);
});

/** Attaches a file as if another start had named it. */
async function attach(name: string): Promise<void> {
  await platter.app.evaluate(
    ({ app }, file) =>
      void app.emit('second-instance', { preventDefault: () => undefined }, [], '/', { files: [file] }),
    images.at(name),
  );
}

async function listed(name: string): Promise<AttachedImage[]> {
  const answer = await platter.call('images.list');
  return answer.ok ? answer.value.filter((image) => image.name === name) : [];
}

async function outcome(name: string): Promise<AttachedImage> {
  await attach(name);
  return platter.image(
    (image) => image.name === name && (image.info !== undefined || image.error !== undefined),
  );
}

test('a file that is no image opens as raw', async () => {
  expect((await outcome('letter.txt')).info).toMatchObject({ format: 'raw', fileSize: 31, readOnly: true });
});

test('an empty file is refused as such', async () => {
  const { error } = await outcome('empty.qcow2');
  expect(error).toMatchObject({ code: 'block.empty-file', context: { image: 'empty.qcow2' } });
});

test('a folder is refused by name', async () => {
  const { error, process } = await outcome('folder.qcow2');
  expect(error).toMatchObject({ code: 'storage.is-directory', context: { image: 'folder.qcow2' } });
  expect(process).toBe('ended');
});

test('a file that does not exist is refused by name', async () => {
  const { error } = await outcome('nowhere.qcow2');
  expect(error).toMatchObject({
    code: 'storage.not-found',
    context: { image: 'nowhere.qcow2', errno: 'ENOENT' },
  });
});

test('a qcow2 cut off within its header is refused with the place', async () => {
  const { error } = await outcome('cut-header.qcow2');
  expect(error?.code).toMatch(/^(qcow2|storage|bytes)\./);
  expect(error?.context.image).toBe('cut-header.qcow2');
  expect(error?.context.offset ?? error?.context.field).toBeDefined();
});

test('a qcow2 cut off before its tables is refused, or says where it cannot be read', async () => {
  const image = await outcome('cut-tables.qcow2');
  const answer = await platter.call('images.read', image.handle, 'guest', 0, 512);
  const error = image.error ?? (answer.ok ? undefined : answer.error);
  expect(error?.code).toMatch(/^(qcow2|storage)\./);
  expect(error?.context.image).toBe('cut-tables.qcow2');
});

test('an unknown incompatible feature is refused by its bit', async () => {
  const { error } = await outcome('future.qcow2');
  expect(error?.code).toMatch(/^qcow2\./);
  expect(error?.message).toContain('50');
  expect(error?.context).toMatchObject({ image: 'future.qcow2' });
});

test('the person is asked before a backing file is opened; a no leaves the image open without it', async () => {
  await attach('top.qcow2');
  await expect(platter.page.getByTestId('gate-resolved')).toHaveText(images.at('base.raw'));
  await platter.page.getByTestId('gate-deny').click();
  const denied = await platter.image((image) => image.name === 'top.qcow2' && image.info !== undefined);
  expect(denied.info?.backing).toBeUndefined();
  expect(denied.info?.backingError).toMatchObject({ code: 'gate.denied' });
  const read = await platter.call('images.read', denied.handle, 'guest', 0, 1);
  expect(read).toMatchObject({ ok: false, error: { code: 'gate.denied' } });
});

test('a yes opens it, and holds for the next opening', async () => {
  const [top] = await listed('top.qcow2');
  const reopened = platter.call('images.reopen', top.handle);
  await platter.page.getByTestId('gate-allow').click();
  expect(await reopened).toMatchObject({ ok: true, value: { backing: { format: 'raw', name: 'base.raw' } } });
  const read = await platter.call('images.read', top.handle, 'guest', 0, 1);
  expect(read.ok && read.value[0]).toBe(0x44);
  expect(await platter.call('images.reopen', top.handle)).toMatchObject({ ok: true });
  await expect(platter.page.getByTestId('gate')).toHaveCount(0);
});

test('a missing backing file is named; the image itself opens', async () => {
  await attach('orphan.qcow2');
  await platter.page.getByTestId('gate-allow').click();
  const { info } = await platter.image((image) => image.name === 'orphan.qcow2' && image.info !== undefined);
  expect(info?.backingError).toMatchObject({ code: 'storage.not-found', context: { image: 'gone.raw' } });
});

test('a question is withdrawn when its image is detached', async () => {
  const [top] = await listed('top.qcow2');
  await platter.call('images.detach', top.handle);
  await attach('top.qcow2');
  await expect(platter.page.getByTestId('gate')).toBeVisible();
  const again = await platter.image((image) => image.name === 'top.qcow2');
  await platter.call('images.detach', again.handle);
  await expect(platter.page.getByTestId('gate')).toHaveCount(0);
});

/** SHA-256 of every file in the folder, by name. */
function digests(): Map<string, string> {
  const files = readdirSync(images.path, { withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map(({ name }) => [
      name,
      createHash('sha256')
        .update(readFileSync(images.at(name)))
        .digest('hex'),
    ]),
  );
}

/** `check`, `snapshot`, `resize` and `bitmap` beside qemu-img: the same words, the same exit codes, images that it finds sound. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';
import { platter } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const at = (name: string): string => join(folder, name);

beforeAll(() => {
  qemuImg(folder, 'create', '-q', '-f', 'qcow2', 'sound.qcow2', '16M');
  qemuIo(folder, 'qcow2', 'sound.qcow2', 'write -P 1 0 1M', 'write -P 2 8M 200k');
  copyFileSync(at('sound.qcow2'), at('leaky.qcow2'));
  const bytes = readFileSync(at('leaky.qcow2'));
  const block = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))));
  bytes.writeUInt16BE(3, block + 12);
  bytes.writeUInt16BE(2, block + 14);
  writeFileSync(at('leaky.qcow2'), bytes);
  bytes.writeUInt16BE(0, block + 12);
  writeFileSync(at('damaged.qcow2'), bytes);
  qemuImg(folder, 'create', '-q', '-f', 'raw', 'plain.raw', '1M');
});

function real(...words: string[]): { code: number | null; out: string } {
  const done = spawnSync('qemu-img', words, { cwd: folder, encoding: 'utf8' });
  return { code: done.status, out: done.stdout };
}

describe('check', () => {
  it.each(['sound.qcow2', 'leaky.qcow2', 'damaged.qcow2', 'plain.raw'])('of %s', async (name) => {
    const text = await platter(['check', at(name)]);
    expect({ code: text.code, out: text.out }).toEqual(real('check', at(name)));
    const json = await platter(['check', '--output=json', at(name)]);
    expect({ code: json.code, out: json.out }).toEqual(real('check', '--output=json', at(name)));
  });

  it.each([
    ['leaks', 'leaky.qcow2'],
    ['all', 'leaky.qcow2'],
    ['all', 'damaged.qcow2'],
  ])('-r %s of %s', async (what, name) => {
    copyFileSync(at(name), at('ours.qcow2'));
    copyFileSync(at(name), at('theirs.qcow2'));
    const theirs = real('check', '-r', what, at('theirs.qcow2'));
    const ours = await platter(['check', '-r', what, at('ours.qcow2')]);
    expect(ours.code).toBe(theirs.code);
    // A count of 0 makes QEMU build all counts anew, at the end of the file; ours are mended where they are.
    const words = (out: string): string =>
      out
        .slice(out.indexOf('The following'))
        .replace(name === 'damaged.qcow2' ? /Image end offset.*/ : '', '');
    expect(words(ours.out)).toBe(words(theirs.out));
    expect(real('check', '-q', at('ours.qcow2')).code).toBe(0);
    expect(real('compare', at('ours.qcow2'), at('sound.qcow2')).code).toBe(0);
  });
});

describe('snapshot', () => {
  it('creates, lists, applies and deletes', async () => {
    copyFileSync(at('sound.qcow2'), at('s.qcow2'));
    expect(await platter(['snapshot', at('s.qcow2')])).toMatchObject({ code: 0, out: '' });
    expect((await platter(['snapshot', '-c', 'one', at('s.qcow2')])).code).toBe(0);
    expect((await platter(['snapshot', '-c', 'two', at('s.qcow2')])).code).toBe(0);
    const list = real('snapshot', '-l', at('s.qcow2'));
    expect(list.out).toContain('two');
    expect((await platter(['snapshot', '-l', at('s.qcow2')])).out).toBe(list.out);
    expect((await platter(['snapshot', '-a', 'one', at('s.qcow2')])).code).toBe(0);
    expect((await platter(['snapshot', '-d', 'one', at('s.qcow2')])).code).toBe(0);
    expect((await platter(['snapshot', '-d', 'one', at('s.qcow2')])).code).toBe(1);
    expect(real('check', '-q', at('s.qcow2')).code).toBe(0);
    expect(real('compare', at('s.qcow2'), at('sound.qcow2')).code).toBe(0);
  });
});

describe('resize', () => {
  it.each(['sound.qcow2', 'plain.raw'])('%s grows and, when told so, shrinks', async (name) => {
    const path = at(`r-${name}`);
    copyFileSync(at(name), path);
    const format = name.endsWith('.raw') ? 'raw' : 'qcow2';
    expect(await platter(['resize', '-f', format, path, '+4M'])).toMatchObject({
      code: 0,
      out: 'Image resized.\n',
    });
    const refused = await platter(['resize', '-f', format, path, '512k']);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('--shrink');
    expect((await platter(['resize', '-f', format, '--shrink', path, '512k'])).code).toBe(0);
    const info = JSON.parse(qemuImg(folder, 'info', '--output=json', '-f', format, path)) as object;
    expect(info).toMatchObject({ 'virtual-size': 512 << 10 });
    if (format === 'qcow2') expect(real('check', '-q', path).code).toBe(0);
  });
});

it.each([
  ['--remove', '--add', '-g', '64k'],
  ['--disable', '--enable'],
  ['--enable', '--disable'],
  ['--remove', '--remove'],
  ['--clear', '--add'],
])('bitmap does what it is told in the order in which it is told: %s %s', async (...actions) => {
  for (const name of ['ordered.qcow2', 'ordered-theirs.qcow2']) {
    copyFileSync(at('sound.qcow2'), at(name));
    qemuImg(folder, 'bitmap', '--add', name, 'x');
  }
  const theirs = real('bitmap', ...actions, at('ordered-theirs.qcow2'), 'x');
  expect((await platter(['bitmap', ...actions, at('ordered.qcow2'), 'x'])).code).toBe(theirs.code);
  const bitmaps = (name: string): unknown =>
    JSON.parse(qemuImg(folder, 'info', '--output=json', name))['format-specific'].data.bitmaps;
  expect(bitmaps('ordered.qcow2')).toEqual(bitmaps('ordered-theirs.qcow2'));
});

it('bitmap adds, disables, merges from another image and removes', async () => {
  for (const name of ['b.qcow2', 'c.qcow2']) copyFileSync(at('sound.qcow2'), at(name));
  expect((await platter(['bitmap', '--add', '-g', '4k', at('b.qcow2'), 'x'])).code).toBe(0);
  qemuIo(folder, 'qcow2', 'b.qcow2', 'write 1M 64k');
  expect(
    (await platter(['bitmap', '--add', '--disable', '--merge', 'x', '-b', at('b.qcow2'), at('c.qcow2'), 'y']))
      .code,
  ).toBe(0);
  expect((await platter(['info', at('c.qcow2')])).out).toBe(real('info', at('c.qcow2')).out);
  expect(real('info', at('c.qcow2')).out).toContain('name: y');
  expect((await platter(['bitmap', '--remove', at('b.qcow2'), 'x'])).code).toBe(0);
  expect((await platter(['bitmap', at('b.qcow2'), 'x'])).code).toBe(2);
  expect(real('check', '-q', at('b.qcow2')).code).toBe(0);
  expect(real('check', '-q', at('c.qcow2')).code).toBe(0);
});

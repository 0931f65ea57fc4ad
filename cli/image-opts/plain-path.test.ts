import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { plainPath } from './plain-path.ts';

const folder = mkdtempSync(join(tmpdir(), 'platter-path-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.each([
  ['disk.raw', 'disk.raw'],
  ['/a/b:c', '/a/b:c'],
  ['./b:c', './b:c'],
  ['file:disk.raw', 'disk.raw'],
  ['file:image:top.raw', './image:top.raw'],
  ['file:/tmp/a:b', '/tmp/a:b'],
  ['C:/disk.raw', 'C:/disk.raw'],
])('%s is the file %s', (text, path) => {
  expect(plainPath(text)).toBe(path);
});

it.each(['nbd://host/disk', 'nbd:host:10809', 'file:///disk.raw', 'null-co://'])('%s is none', (text) => {
  expect(() => plainPath(text)).toThrow(expect.objectContaining({ code: 'image-opts.no-protocol' }));
});

it('a file that is there is meant, whatever its name', () => {
  writeFileSync(join(folder, 'nbd:b'), '');
  const before = process.cwd();
  process.chdir(folder);
  try {
    expect(plainPath('nbd:b')).toBe('nbd:b');
  } finally {
    process.chdir(before);
  }
});

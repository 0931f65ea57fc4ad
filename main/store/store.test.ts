import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { settingsSchema } from '#contract/settings.ts';
import type { Notice } from '#contract/calls.ts';
import { Notices } from '../notices.ts';
import { Store } from './store.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'platter-store-'));
  path = join(folder, 'settings.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const never = (notice: Notice): void =>
  expect.fail(`no notice may be sent before the page is there: ${notice.key}`);
const date = new Date('2026-02-03T04:05:06.789Z');

describe('Store', () => {
  it('starts with defaults when there is no file, and writes none', () => {
    const notices = new Notices(never);
    expect(Store.open(path, settingsSchema, notices).value).toMatchObject({ theme: 'system', locale: null });
    expect(existsSync(path)).toBe(false);
    expect(notices.take()).toEqual([]);
  });

  it('keeps what was set, and leaves no temporary file', async () => {
    const store = Store.open(path, settingsSchema, new Notices(never));
    await store.set({ ...store.value, theme: 'dark' });
    expect(Store.open(path, settingsSchema, new Notices(never)).value.theme).toBe('dark');
    expect(readdirSync(folder)).toEqual(['settings.json']);
  });

  it('writes the last of many quick changes, and resolves each only after a write that holds it', async () => {
    const store = Store.open(path, settingsSchema, new Notices(never));
    const writes = [];
    for (let i = 0; i < 50; i++) {
      const done = store.set({ ...store.value, layout: { main: [i] } });
      writes.push(
        done.then(() => {
          const written = JSON.parse(readFileSync(path, 'utf8')) as { layout: { main: number[] } };
          expect(written.layout.main[0]).toBeGreaterThanOrEqual(i);
        }),
      );
      if (i % 7 === 0) await new Promise(setImmediate);
    }
    await Promise.all(writes);
    expect(Store.open(path, settingsSchema, new Notices(never)).value.layout).toEqual({ main: [49] });
  });

  it.each([
    ['half a file', '{"theme": "da'],
    ['an empty file', ''],
    ['another type', '[1, 2]'],
    ['a value that the schema refuses', '{"theme": "purple"}'],
    ['bytes that are no text', '\u0000\ufffd\u0001'],
  ])('sets %s aside, says so and starts with defaults', async (_what, content) => {
    writeFileSync(path, content);
    const notices = new Notices(never);
    const store = Store.open(path, settingsSchema, notices, date);
    expect(store.value.theme).toBe('system');
    const aside = 'settings.json.damaged-2026-02-03T04-05-06';
    expect(notices.take()).toEqual([{ key: 'store.damaged', params: { file: 'settings.json', aside } }]);
    expect(readFileSync(join(folder, aside), 'utf8')).toBe(content);
    await store.set({ ...store.value, theme: 'light' });
    expect(Store.open(path, settingsSchema, new Notices(never)).value.theme).toBe('light');
  });

  it('ignores members of a newer version without calling the file damaged', () => {
    writeFileSync(path, '{"theme": "dark", "fromTheFuture": 1}');
    const notices = new Notices(never);
    expect(Store.open(path, settingsSchema, notices).value.theme).toBe('dark');
    expect(notices.take()).toEqual([]);
  });

  it('starts even when the file is a folder, and says so', () => {
    mkdirSync(path);
    const notices = new Notices(never);
    expect(Store.open(path, settingsSchema, notices).value.theme).toBe('system');
    expect(notices.take()).toEqual([
      { key: 'store.unreadable', params: { file: 'settings.json', errno: 'EISDIR' } },
    ]);
  });

  it('names the file and the reason when it cannot be written, and works again afterwards', async () => {
    const store = Store.open(join(folder, 'gone', 'settings.json'), settingsSchema, new Notices(never));
    await expect(store.set({ ...store.value, theme: 'dark' })).rejects.toMatchObject({
      code: 'store.write-failed',
      context: { errno: 'ENOENT', value: 'settings.json' },
    });
    mkdirSync(join(folder, 'gone'));
    await store.set({ ...store.value, theme: 'light' });
    expect(readdirSync(join(folder, 'gone'))).toEqual(['settings.json']);
  });
});

describe('Notices', () => {
  it('keeps notices until they are taken, then sends them', () => {
    const sent: Notice[] = [];
    const notices = new Notices((notice) => sent.push(notice));
    notices.add('a');
    expect(sent).toEqual([]);
    expect(notices.take()).toEqual([{ key: 'a', params: {} }]);
    notices.add('b', { file: 'x' });
    expect(sent).toEqual([{ key: 'b', params: { file: 'x' } }]);
    expect(notices.take()).toEqual([]);
  });
});

import { appendFileSync, copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { staleSince, stampOf, type Stamp } from './stamp.ts';

const folder = mkdtempSync(join(tmpdir(), 'platter-stamp-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('tells a file that was written to, one that another took the name of, and one that is gone', async () => {
  const path = join(folder, 'disk.raw');
  writeFileSync(path, 'one');
  const stamp = (await stampOf(path)) as Stamp;
  expect(await staleSince(stamp, path)).toBeUndefined();
  appendFileSync(path, 'more');
  expect(await staleSince(stamp, path)).toBe('changed');
  copyFileSync(path, join(folder, 'other'));
  renameSync(join(folder, 'other'), path);
  expect(await staleSince(stamp, path)).toBe('replaced');
  rmSync(path);
  expect(await staleSince(stamp, path)).toBe('gone');
  expect(await stampOf(path)).toBeUndefined();
});

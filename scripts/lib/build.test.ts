import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { sourceStamp } from './build.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'platter-test-'));
  mkdirSync(join(folder, 'src/deep'), { recursive: true });
  writeFileSync(join(folder, 'src/deep/a.ts'), 'a');
});
afterEach(() => rmSync(folder, { recursive: true }));

it('stays when nothing changed, and does not look at tests', () => {
  const before = sourceStamp(folder, ['src']);
  writeFileSync(join(folder, 'src/a.test.ts'), 'test');
  expect(sourceStamp(folder, ['src'])).toBe(before);
});

it('changes with a content, a time, a new file, a file that goes', () => {
  const stamps = [sourceStamp(folder, ['src'])];
  const change = (how: () => void) => {
    how();
    stamps.push(sourceStamp(folder, ['src']));
  };
  change(() => writeFileSync(join(folder, 'src/deep/a.ts'), 'ab'));
  change(() => utimesSync(join(folder, 'src/deep/a.ts'), 1, 1));
  change(() => writeFileSync(join(folder, 'src/b.ts'), ''));
  change(() => rmSync(join(folder, 'src/deep/a.ts')));
  expect(new Set(stamps).size).toBe(5);
});

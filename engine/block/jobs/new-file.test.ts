import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { createNewFile } from './new-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'platter-new-file-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('is called in every error as the person called it, whatever its name is until it is complete', () => {
  const file = createNewFile(join(folder, 'copy.img'), false);
  expect(readdirSync(folder)).not.toContain('copy.img');
  expect(file.storage.name).toBe('copy.img');
  file.discard();
  expect(readdirSync(folder)).toEqual([]);
  expect(() => createNewFile(join(folder, 'gone', 'copy.img'), false)).toThrow(
    expect.objectContaining({ context: expect.objectContaining({ image: 'copy.img' }) }),
  );
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { cacheDir, root } from './paths.mjs';
import { hasSubstitute, sha256 } from './substitute.mjs';

it('hashes a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'platter-test-'));
  try {
    // FIPS 180-2, appendix B.1.
    writeFileSync(join(folder, 'abc'), 'abc');
    expect(await sha256(join(folder, 'abc'))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('is for Linux on x86-64 alone', () => {
  expect(hasSubstitute('linux', 'x64')).toBe(true);
  expect(hasSubstitute('linux', 'arm64')).toBe(false);
  expect(hasSubstitute('darwin', 'x64')).toBe(false);
});

it('is kept in the cache folder of the user, outside the repository', () => {
  expect(cacheDir({ XDG_CACHE_HOME: '/c' })).toBe('/c/platter');
  // XDG base directory specification: a relative path is invalid and ignored.
  expect(cacheDir({ XDG_CACHE_HOME: 'c' })).toMatch(/\/\.cache\/platter$/);
  expect(cacheDir({}).startsWith(root)).toBe(false);
});

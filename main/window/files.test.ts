import { resolve } from 'node:path';
import { array, assert, constantFrom, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fileOf } from './files.ts';

const root = '/opt/platter/out/renderer';

describe('fileOf', () => {
  it('finds files below the root with their type', () => {
    expect(fileOf(root, 'app://platter/index.html')).toEqual({
      path: `${root}/index.html`,
      type: 'text/html; charset=utf-8',
    });
    expect(fileOf(root, 'app://platter/assets/a%20b.js?x#y')?.path).toBe(`${root}/assets/a b.js`);
  });

  it('refuses everything that would leave the root, however it is spelt', () => {
    for (const path of [
      '/..%2f..%2fpackage.json',
      '/%2e%2e%2fmain%2fmain.js',
      '/assets/..%5c..%5cmain.js',
      '/c:/windows/a.txt',
      '/a%00.html',
      '//etc/a.txt',
      '/',
      '',
      '/%zz.html',
    ]) {
      expect(fileOf(root, `app://platter${path}`), path).toBeNull();
    }
  });

  it('stays at the root where the URL parser already took dot segments away', () => {
    expect(fileOf(root, 'app://platter/%2e%2e/../package.json')?.path).toBe(`${root}/package.json`);
  });

  it('refuses other hosts and unknown kinds of file', () => {
    expect(fileOf(root, 'app://other/index.html')).toBeNull();
    expect(fileOf(root, 'https://platter/index.html')).toBeNull();
    expect(fileOf(root, 'app://platter/secrets.pem')).toBeNull();
    expect(fileOf(root, 'app://platter/noextension')).toBeNull();
  });

  it('never answers a path outside the root', () => {
    const piece = constantFrom('..', '.', '%2e', '%2E%2e', '/', '%2f', '\\', '%5c', 'a', 'a.js', '%00', ':');
    assert(
      property(array(piece, { maxLength: 12 }), (pieces) => {
        const file = fileOf(root, `app://platter/${pieces.join('')}`);
        if (file !== null) expect(resolve(file.path).startsWith(`${root}/`)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

import { describe, expect, it } from 'vitest';
import { forThisSystem, packageArguments } from './package.mjs';

const runtime = { folder: '/r', executable: '/r/electron', version: '33.2.1' };

describe('packageArguments', () => {
  it('names a package after the substitute so that nobody gives it away', () => {
    const named = (kind: 'official' | 'substitute' | 'chosen'): boolean =>
      packageArguments({ ...runtime, kind }).some((word) => word.includes('not-for-release'));
    expect([named('official'), named('substitute'), named('chosen')]).toEqual([false, true, true]);
  });
  it('leaves the Electron of another system to electron-builder', () => {
    expect(packageArguments().join(' ')).not.toContain('electronDist');
  });
});

it('tells packages for this system from others', () => {
  expect(forThisSystem(['--linux', 'deb'], 'linux')).toBe(true);
  expect(forThisSystem(['--dir'], 'linux')).toBe(true);
  expect(forThisSystem(['--win', 'nsis'], 'linux')).toBe(false);
  expect(forThisSystem(['--linux', '--mac'], 'linux')).toBe(false);
});

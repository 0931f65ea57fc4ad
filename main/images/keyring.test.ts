import { expect, it } from 'vitest';
import type { ImageInfo } from '#contract/images.ts';
import { Keyring, lockedPaths } from './keyring.ts';

it('gives a process only the passphrases of its own files', () => {
  const keyring = new Keyring();
  keyring.give('/a', 'one');
  keyring.give('/b', 'two');
  expect(keyring.of(['/b', '/c'])).toEqual({ '/b': 'two' });
  keyring.forget('/b');
  expect(keyring.of(['/a', '/b'])).toEqual({ '/a': 'one' });
});

it('finds what is locked from the top of the chain down, as far as it is open', () => {
  const base = { locked: true } as ImageInfo;
  const middle = { backing: base } as ImageInfo;
  const top = { locked: true, backing: middle } as ImageInfo;
  expect(lockedPaths(['/top', '/middle', '/base'], top)).toEqual(['/top', '/base']);
  expect(lockedPaths(['/top'], top)).toEqual(['/top']);
  expect(lockedPaths([], undefined)).toEqual([]);
});

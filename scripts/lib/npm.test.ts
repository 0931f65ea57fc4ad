import { describe, expect, it } from 'vitest';
import { differences } from './npm.mjs';

const lock = {
  packages: {
    '': { version: '0.1.0' },
    'node_modules/vue': { version: '3.5.45' },
    'node_modules/only-on-windows': { version: '1.0.0', optional: true },
  },
};

describe('differences between the lock file and what is installed', () => {
  it('finds none when all is as locked, other platforms aside', () => {
    expect(differences(lock, { packages: { 'node_modules/vue': { version: '3.5.45' } } })).toEqual([]);
  });
  it('names a package that is absent or of another version, an optional one too', () => {
    expect(differences(lock, { packages: {} })).toEqual(['node_modules/vue']);
    const older = {
      'node_modules/vue': { version: '3.5.44' },
      'node_modules/only-on-windows': { version: '0.9.0' },
    };
    expect(differences(lock, { packages: older })).toEqual([
      'node_modules/vue',
      'node_modules/only-on-windows',
    ]);
  });
  it('does not mind packages that the lock file does not have', () => {
    const more = { 'node_modules/vue': { version: '3.5.45' }, 'node_modules/mine': { version: '1.0.0' } };
    expect(differences(lock, { packages: more })).toEqual([]);
  });
});

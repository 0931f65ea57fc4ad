import { describe, expect, it } from 'vitest';
import { chooseAvailable, hasLibrary, missingNeeds, parseCandidate } from './system.mjs';

const LISTING = `812 libs found in cache \`/etc/ld.so.cache'
	libgbm.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libgbm.so.1
	libgbm.so (libc6,x86-64) => /lib/x86_64-linux-gnu/libgbm.so
`;

describe('hasLibrary', () => {
  it('wants the whole name and a file behind it', () => {
    expect(hasLibrary(LISTING, 'libgbm.so.1', () => true)).toBe(true);
    expect(hasLibrary(LISTING, 'libgbm', () => true)).toBe(false);
    expect(hasLibrary(LISTING, 'libgbm.so.1', () => false)).toBe(false);
    expect(hasLibrary(LISTING, 'libnss3.so', () => true)).toBe(false);
  });
});

describe('package names that differ between releases', () => {
  it('takes the first that the index has, the last one when it has none', () => {
    const names = ['libasound2t64', 'libasound2'];
    expect(chooseAvailable(names, () => true)).toBe('libasound2t64');
    expect(chooseAvailable(names, (name) => name === 'libasound2')).toBe('libasound2');
    expect(chooseAvailable(names, () => false)).toBe('libasound2');
  });
  it('reads the candidate of apt-cache policy', () => {
    const policy = 'unzip:\n  Installed: (none)\n  Candidate: 6.0-28+deb12u1\n  Version table:\n';
    expect(parseCandidate(policy)).toBe('6.0-28+deb12u1');
    expect(parseCandidate(policy.replace('6.0-28+deb12u1', '(none)'))).toBeUndefined();
    expect(parseCandidate('')).toBeUndefined();
  });
});

describe('missingNeeds', () => {
  it('asks the probe for each', () => {
    const needs = [
      { packages: ['a'], command: 'a' },
      { packages: ['b'], library: 'b.so' },
    ];
    expect(missingNeeds(needs, (need: { command?: string }) => need.command === 'a')).toEqual([needs[1]]);
  });
});

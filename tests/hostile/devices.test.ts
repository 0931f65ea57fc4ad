/** Every line of hostile inputs, part "Devices", has its test on every kind of device, or a reason why it cannot be tried there. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { FUZZERS, KINDS, LINES } from './devices.ts';
import { exists } from './proof.ts';

it('the lines are all there', () => {
  expect(LINES.map(({ number }) => number)).toEqual(Array.from({ length: 18 }, (_, i) => i + 1));
});

it.each(LINES)('line $number: $what', ({ kinds }) => {
  for (const kind of KINDS) {
    const proofs = kinds[kind];
    expect(proofs.length, kind).toBeGreaterThan(0);
    if (typeof proofs === 'string') continue;
    expect(
      proofs.filter((proof) => !exists(proof)),
      kind,
    ).toEqual([]);
  }
});

it.each(KINDS)('%s: a fuzzer runs in CI, and longer on demand as CONTRIBUTING.md says', (kind) => {
  const fuzzers = FUZZERS.filter(({ kinds }) => kinds.includes(kind));
  expect(fuzzers.length).toBeGreaterThan(0);
  const guide = readFileSync('CONTRIBUTING.md', 'utf8');
  for (const { proof, longer } of fuzzers) {
    expect(exists(proof)).toBe(true);
    expect(readFileSync(proof[0], 'utf8')).toContain(longer);
    expect(guide).toContain(longer);
  }
});

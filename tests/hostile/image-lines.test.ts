/** Every line of hostile inputs, part "Images", has its tests, or a reason why it cannot be tried here that is still true. */
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { IMAGE_LINES } from './image-lines.ts';
import { exists } from './proof.ts';

it('the lines are all there', () => {
  expect(IMAGE_LINES.map(({ number }) => number)).toEqual(Array.from({ length: 14 }, (_, i) => i + 1));
});

it.each(IMAGE_LINES.filter(({ proofs }) => typeof proofs !== 'string'))(
  'line $number: $what',
  ({ proofs }) => {
    expect(proofs.length).toBeGreaterThan(0);
    if (typeof proofs !== 'string') expect(proofs.filter((proof) => !exists(proof))).toEqual([]);
  },
);

it('what has no test has no code either', () => {
  expect(IMAGE_LINES.filter(({ proofs }) => typeof proofs === 'string').map(({ number }) => number)).toEqual([
    13, 14,
  ]);
  expect(
    ['engine/block/storage/nbd', 'engine/block/storage/nbd.ts', 'engine/inspect/filesystems'].filter(
      existsSync,
    ),
  ).toEqual([]);
});

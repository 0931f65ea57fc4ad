import { assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { smallestChange } from './change.ts';

describe('smallest change', () => {
  it('turns one text into the other', () => {
    assert(
      property(string({ unit: constantFrom('a', 'b') }), string({ unit: constantFrom('a', 'b') }), (a, b) => {
        const change = smallestChange(a, b);
        const made = change === null ? a : a.slice(0, change.from) + change.insert + a.slice(change.to);
        expect(made).toBe(b);
      }),
    );
  });

  it('touches only what differs', () => {
    expect(smallestChange('drive=d1,id=x', 'drive=d2,id=x')).toEqual({ from: 7, to: 8, insert: '2' });
  });
});

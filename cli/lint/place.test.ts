import { describe, expect, it } from 'vitest';
import { excerpt, lineAndColumn } from './place.ts';

describe('lineAndColumn', () => {
  it('counts from 1', () => {
    expect(lineAndColumn('ab\ncd', 0)).toEqual({ line: 1, column: 1 });
    expect(lineAndColumn('ab\ncd', 3)).toEqual({ line: 2, column: 1 });
    expect(lineAndColumn('ab\ncd', 5)).toEqual({ line: 2, column: 3 });
  });
});

describe('excerpt', () => {
  it('marks the span under its line', () => {
    expect(excerpt('first\nsecond line\nthird', { start: 13, end: 17 })).toEqual([
      'second line',
      '       ^~~~',
    ]);
  });
  it('marks an empty span, and one that goes over the end of the line', () => {
    expect(excerpt('ab', { start: 2, end: 2 })).toEqual(['ab', '  ^']);
    expect(excerpt('ab\ncd', { start: 1, end: 5 })).toEqual(['ab', ' ^']);
  });
  it('shows a window of a long line, with the mark still under the spot', () => {
    const text = `${'x'.repeat(500)}HERE${'y'.repeat(500)}`;
    const [line, mark] = excerpt(text, { start: 500, end: 504 });
    expect(line.length).toBeLessThan(110);
    expect(line.slice(mark.indexOf('^'), mark.length)).toBe('HERE');
  });
  it('shows no control characters', () => {
    expect(excerpt('a\tb\u001b[31m', { start: 2, end: 3 })).toEqual(['a b [31m', '  ^']);
  });
});

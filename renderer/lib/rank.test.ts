import { describe, expect, it } from 'vitest';
import { rank } from './rank.ts';

const titles = [
  'Use the dark theme',
  'Go to Images',
  'Attach the sample image',
  'Attach an image…',
  'Detach the image',
];
const find = (query: string) => rank(query, titles, (title) => title);

describe('rank', () => {
  it('keeps the order for an empty query', () => expect(find('  ')).toEqual(titles));
  it('puts the start of a word before its middle', () => expect(find('tach').length).toBe(3));
  it('wants every word', () => expect(find('attach sample')).toEqual(['Attach the sample image']));
  it('finds letters in order', () => expect(find('drkthm')[0]).toBe('Use the dark theme'));
  it('finds nothing for what is not there', () => expect(find('zzz')).toEqual([]));
  it('prefers the beginning', () => expect(find('attach')[0]).toBe('Attach the sample image'));
});

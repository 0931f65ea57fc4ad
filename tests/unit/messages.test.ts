/** The texts: both languages have the same files, keys and parameters, and every error has a text. */
import { describe, expect, it } from 'vitest';
import { filesBelow, isTest, readSource } from './sources/files.ts';

const ENGLISH = 'resources/messages/en';
const CHINESE = 'resources/messages/zh-CN';

const names = (folder: string): string[] =>
  filesBelow(folder, /\.json$/).map((path) => path.slice(folder.length + 1));
const read = (folder: string, name: string): Record<string, unknown> =>
  JSON.parse(readSource(`${folder}/${name}`));
/** `{name}` of vue-i18n; `{'@'}` is a literal character. */
const parameters = (text: string): string[] =>
  [...new Set([...text.matchAll(/\{\s*([A-Za-z_]\w*)\s*\}/g)].map((match) => match[1]))].toSorted();

it('both languages have the same files', () => {
  expect(names(CHINESE)).toEqual(names(ENGLISH));
});

describe.each(names(ENGLISH))('%s', (name) => {
  const english = read(ENGLISH, name);
  const chinese = names(CHINESE).includes(name) ? read(CHINESE, name) : {};

  it('is flat: texts only, none empty', () => {
    const wrong = (texts: Record<string, unknown>): string[] =>
      Object.keys(texts).filter((key) => typeof texts[key] !== 'string' || texts[key].trim() === '');
    expect(wrong(english)).toEqual([]);
    expect(wrong(chinese)).toEqual([]);
  });

  it('has the same keys in both languages', () => {
    expect(Object.keys(chinese).toSorted()).toEqual(Object.keys(english).toSorted());
  });

  it('has the same parameters in both languages', () => {
    const differing = Object.keys(english).filter(
      (key) => parameters(String(english[key])).join() !== parameters(String(chinese[key])).join(),
    );
    expect(differing).toEqual([]);
  });
});

it('no error code stands in two files', () => {
  const errors = names(ENGLISH).filter((name) => name.startsWith('errors-'));
  const keys = errors.flatMap((name) => Object.keys(read(ENGLISH, name)));
  expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
});

it('every error code has a text', () => {
  const texts = new Set(
    names(ENGLISH)
      .filter((name) => name.startsWith('errors-'))
      .flatMap((name) => Object.keys(read(ENGLISH, name))),
  );
  const codes = new Set<string>();
  for (const folder of ['engine', 'main', 'cli', 'contract']) {
    for (const path of filesBelow(folder, /\.ts$/)) {
      if (isTest(path)) continue;
      for (const match of readSource(path).matchAll(/new PlatterError\(\s*'([^']+)'/g)) codes.add(match[1]);
    }
  }
  expect(codes.size).toBeGreaterThan(10);
  expect([...codes].filter((code) => !texts.has(code)).toSorted()).toEqual([]);
});

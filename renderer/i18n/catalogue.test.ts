import { describe, expect, it } from 'vitest';
import { mergeMessages } from './catalogue.ts';

const all = mergeMessages(
  import.meta.glob<Record<string, string>>('../../resources/messages/*/*.json', {
    eager: true,
    import: 'default',
  }),
);

const parameters = (text: string): string[] =>
  [...new Set([...text.matchAll(/\{([A-Za-z_]\w*)\}/g)].map((match) => match[1]))].sort();

describe('mergeMessages', () => {
  it('puts an area before its keys and keeps dots in keys', () => {
    expect(
      mergeMessages({
        '../resources/messages/en/shell.json': { title: 'Platter', 'menu.open': 'Open' },
        '../resources/messages/en/errors-qcow2.json': { 'qcow2.bad-magic': 'No.' },
        '../resources/messages/zh-CN/errors.json': { 'qcow2.bad-magic': '不。' },
      }),
    ).toEqual({
      en: { 'shell.title': 'Platter', 'shell.menu.open': 'Open', 'error.qcow2.bad-magic': 'No.' },
      'zh-CN': { 'error.qcow2.bad-magic': '不。' },
    });
  });
});

describe('the two catalogues', () => {
  const en = all['en'];
  const zh = all['zh-CN'];

  it('have the same keys', () => {
    expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort());
  });
  it('use the same parameters in each text', () => {
    for (const [key, text] of Object.entries(en)) {
      expect([key, parameters(zh[key] ?? '')]).toEqual([key, parameters(text)]);
    }
  });
});

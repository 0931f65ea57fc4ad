import { describe, expect, it } from 'vitest';
import { mergeMessages } from './catalogue.ts';

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

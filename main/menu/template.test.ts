import type { MenuItemConstructorOptions } from 'electron';
import { describe, expect, it } from 'vitest';
import en from '#resources/messages/en/menu.json' with { type: 'json' };
import zh from '#resources/messages/zh-CN/menu.json' with { type: 'json' };
import { ourLocale, translator } from './messages.ts';
import { menuTemplate } from './template.ts';

function items(options: { mac?: boolean; developer?: boolean; run?: (id: string) => void } = {}) {
  const asked: string[] = [];
  const text = (key: string): string => {
    asked.push(key);
    return translator('en')(key);
  };
  const template = menuTemplate({
    text,
    run: options.run ?? (() => undefined),
    mac: options.mac ?? false,
    developer: options.developer ?? false,
  });
  const flat = template.flatMap((menu) => menu.submenu as MenuItemConstructorOptions[]).filter(Boolean);
  return { flat, asked };
}

describe('menuTemplate', () => {
  it('has a text in both languages for everything that it shows, and no text that nothing shows', () => {
    const asked = [...items({ mac: true, developer: true }).asked, ...items({ developer: true }).asked];
    // The catalogue of the main process also holds the texts of dialogs, the about box and notifications.
    const others = ['dialog.', 'about.', 'job.'];
    const own = (texts: Record<string, string>) =>
      Object.keys(texts).filter((key) => !others.some((prefix) => key.startsWith(prefix)));
    expect(own(en).sort()).toEqual([...new Set(asked)].sort());
    expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort());
    expect(Object.entries(zh).filter(([, text]) => text === '')).toEqual([]);
  });

  it('gives no accelerator twice', () => {
    for (const mac of [true, false]) {
      const keys = items({ mac, developer: true })
        .flat.map((item) => item.accelerator)
        .filter(Boolean);
      expect(new Set(keys).size).toBe(keys.length);
    }
  });

  it('sends the id of the item that is chosen', () => {
    const sent: string[] = [];
    const { flat } = items({ run: (id) => sent.push(id) });
    const pick = flat.find((item) => item.id === 'images.pick');
    if (pick?.click === undefined) throw new Error('no such item');
    (pick.click as () => void)();
    expect(sent).toEqual(['images.pick']);
  });

  it('offers developer tools to developers only', () => {
    const roles = (developer: boolean) => items({ developer }).flat.map((item) => item.role);
    expect(roles(true)).toContain('toggleDevTools');
    expect(roles(false)).not.toContain('toggleDevTools');
    expect(roles(false)).not.toContain('reload');
  });
});

describe('ourLocale', () => {
  it('takes the first language that we have, English else', () => {
    expect(ourLocale(['de-DE', 'zh-TW', 'en-US'])).toBe('zh-CN');
    expect(ourLocale(['en-GB', 'zh-CN'])).toBe('en');
    expect(ourLocale(['de-DE', 'zhx'])).toBe('en');
    expect(ourLocale([])).toBe('en');
  });
});

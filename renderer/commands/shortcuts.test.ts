import { beforeAll, describe, expect, it, vi } from 'vitest';

const press = (key: string, code: string, modifiers: string) => ({
  key,
  code,
  ctrlKey: modifiers.includes('c'),
  metaKey: modifiers.includes('m'),
  shiftKey: modifiers.includes('s'),
  altKey: modifiers.includes('a'),
});

describe('shortcuts', () => {
  let shortcuts: typeof import('./shortcuts.ts');
  beforeAll(async () => {
    vi.stubGlobal('navigator', { platform: 'Linux x86_64' });
    shortcuts = await import('./shortcuts.ts');
  });

  it('matches by letter and by place of the key, with all modifiers', () => {
    expect(shortcuts.matches('Mod+Shift+P', press('P', 'KeyP', 'cs'))).toBe(true);
    expect(shortcuts.matches('Mod+Shift+P', press('з', 'KeyP', 'cs'))).toBe(true);
    expect(shortcuts.matches('Mod+Shift+P', press('p', 'KeyP', 'c'))).toBe(false);
    expect(shortcuts.matches('Mod+1', press('1', 'Digit1', 'c'))).toBe(true);
    expect(shortcuts.matches('Alt+ArrowLeft', press('ArrowLeft', 'ArrowLeft', 'a'))).toBe(true);
  });
  it('takes Cmd for Mod on macOS', () => {
    expect(shortcuts.matches('Mod+O', press('o', 'KeyO', 'm'), true)).toBe(true);
    expect(shortcuts.matches('Mod+O', press('o', 'KeyO', 'c'), true)).toBe(false);
  });
  it('writes them as the platform does', () => {
    expect(shortcuts.shortcutText('Mod+Shift+P', false)).toBe('Ctrl+Shift+P');
    expect(shortcuts.shortcutText('Mod+Shift+P', true)).toBe('⇧⌘P');
  });
});

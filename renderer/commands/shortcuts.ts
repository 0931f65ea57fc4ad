/** Keyboard shortcuts as text (`Mod+Shift+P`), as a person reads them, and matched against key events. */
export const isMac = navigator.platform.startsWith('Mac');

export type KeyPress = Pick<KeyboardEvent, 'key' | 'code' | 'ctrlKey' | 'metaKey' | 'shiftKey' | 'altKey'>;

/** True if the key event is the shortcut, all modifiers included. */
export function matches(shortcut: string, event: KeyPress, mac = isMac): boolean {
  const parts = shortcut.split('+');
  const key = parts.at(-1) ?? '';
  const mod = parts.includes('Mod');
  const wantCtrl = parts.includes('Ctrl') || (mod && !mac);
  const wantMeta = mod && mac;
  return (
    event.ctrlKey === wantCtrl &&
    event.metaKey === wantMeta &&
    event.shiftKey === parts.includes('Shift') &&
    event.altKey === parts.includes('Alt') &&
    (event.key.toLowerCase() === key.toLowerCase() ||
      event.code === `Key${key}` ||
      event.code === `Digit${key}`)
  );
}

/** `Ctrl+Shift+P`, or `⇧⌘P` on macOS. */
export function shortcutText(shortcut: string, mac = isMac): string {
  if (!mac) return shortcut.replace('Mod', 'Ctrl').replace('Arrow', '');
  const parts = shortcut.split('+');
  const sign: Record<string, string> = { Ctrl: '⌃', Alt: '⌥', Shift: '⇧', Mod: '⌘' };
  const order = ['Ctrl', 'Alt', 'Shift', 'Mod'];
  return order.map((name) => (parts.includes(name) ? sign[name] : '')).join('') + (parts.at(-1) ?? '');
}

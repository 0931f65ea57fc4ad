/** The system's own parts (menus, dialogs, scroll bars) in the theme that the person chose. */
import { nativeTheme } from 'electron';
import type { Theme } from '#contract/settings.ts';

export function applyTheme(theme: Theme): void {
  nativeTheme.themeSource = theme;
}

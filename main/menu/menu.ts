/** The menu bar and the About panel, in the person's language. */
import { app, Menu } from 'electron';
import type { Locale } from '#contract/settings.ts';
import { translator } from './messages.ts';
import { menuTemplate } from './template.ts';

/** Builds the menu; again when the language changes. @param run sends a command's id to the page */
export function installMenu(locale: Locale, run: (command: string) => void): void {
  const text = translator(locale);
  app.setAboutPanelOptions({
    applicationName: app.getName(),
    applicationVersion: app.getVersion(),
    copyright: text('about.text'),
  });
  const template = menuTemplate({
    text,
    run,
    mac: process.platform === 'darwin',
    developer: !app.isPackaged,
  });
  Menu.setApplicationMenu(Menu.buildFromTemplate(template));
}

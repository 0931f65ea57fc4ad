/** The texts of menus and system dialogs, and which of our languages the system speaks. */
import type { Locale } from '#contract/settings.ts';
import en from '#resources/messages/en/menu.json' with { type: 'json' };
import zh from '#resources/messages/zh-CN/menu.json' with { type: 'json' };

const TEXTS: Readonly<Record<Locale, Readonly<Record<string, string>>>> = { en, 'zh-CN': zh };

/** Looks keys of `menu.json` up; a key without a text shows itself. */
export function translator(locale: Locale): (key: string) => string {
  return (key) => TEXTS[locale][key] ?? key;
}

/** Chinese of any script or region is nearer to zh-CN than to English. @param preferred BCP 47 tags, best first */
export function ourLocale(preferred: readonly string[]): Locale {
  for (const tag of preferred) {
    const language = tag.split('-')[0].toLowerCase();
    if (language === 'zh') return 'zh-CN';
    if (language === 'en') return 'en';
  }
  return 'en';
}

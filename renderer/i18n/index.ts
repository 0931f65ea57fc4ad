/** The interface's languages. Both catalogues are loaded from the start, so that switching is instant. */
import { createI18n } from 'vue-i18n';
import type { PlainError } from '#contract/error.ts';
import type { Locale } from '#contract/settings.ts';
import { mergeMessages } from './catalogue.ts';

const files = import.meta.glob<Record<string, string>>('../../resources/messages/*/*.json', {
  eager: true,
  import: 'default',
});
const messages = mergeMessages(files);

export const i18n = createI18n({
  legacy: false,
  locale: 'en',
  fallbackLocale: 'en',
  messages,
  // Keys are flat and contain dots, so a key is looked up whole and never as a path.
  messageResolver: (catalogue, key) => (catalogue as Record<string, string>)[key] ?? null,
  missingWarn: import.meta.env.DEV,
  fallbackWarn: import.meta.env.DEV,
});

/** Translates outside of components; reactive where it is read in a render or a computed. */
export function t(key: string, params: Record<string, unknown> = {}): string {
  return i18n.global.t(key, params);
}

/** True if the present catalogue (or the English one) has the key. */
export function has(key: string): boolean {
  return key in (messages[i18n.global.locale.value] ?? {}) || key in messages['en'];
}

export function setLocale(locale: Locale): void {
  i18n.global.locale.value = locale;
  document.documentElement.lang = locale;
}

/** The error's text in the present language; its own English message when the catalogue has none. */
export function errorText(error: PlainError): string {
  const key = `error.${error.code}`;
  return has(key) ? t(key, { ...error.context, message: error.message }) : error.message;
}

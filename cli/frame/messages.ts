/** Texts of the message catalogues outside of the interface: vue-i18n's syntax as far as the catalogues use it. */

/** `{name}` replaced by the parameter, `{'@'}` by what stands between the quotes. */
export function fillText(text: string, params: Readonly<Record<string, string>>): string {
  return text.replace(
    /\{(?:'([^']*)'|([A-Za-z]\w*))\}/g,
    (whole, literal: string | undefined, name: string) => literal ?? params[name] ?? whole,
  );
}

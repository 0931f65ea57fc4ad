/** Builds the message catalogue out of the files of `resources/messages/<locale>/`. */

/**
 * Flat keys under the file's area: `shell.json` with `title` gives `shell.title`. The texts of errors stand in several files
 * `errors-<area>.json` whose keys are whole error codes, and come together under `error.`: `error.qcow2.unknown-feature`.
 */
export function mergeMessages(
  files: Record<string, Record<string, string>>,
): Record<string, Record<string, string>> {
  const locales: Record<string, Record<string, string>> = {};
  for (const [path, texts] of Object.entries(files)) {
    const match = /([^/]+)\/([^/]+)\.json$/.exec(path);
    if (match === null) continue;
    const [, locale, area] = match;
    const prefix = area.startsWith('errors') ? 'error.' : `${area}.`;
    const target = (locales[locale] ??= {});
    for (const [key, text] of Object.entries(texts)) {
      target[key.startsWith(prefix) ? key : prefix + key] = text;
    }
  }
  return locales;
}

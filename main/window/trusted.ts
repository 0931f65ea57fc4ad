/** Who may be listened to, and what may be fetched. Pure, so that it can be tested without a window. */

/**
 * Whether `url` is a page of ours. Node's `URL.origin` is `null` for a scheme that it does not know, so that scheme and
 * host are compared one by one.
 * @param development the development server's URL, when there is one
 */
export function isOwnPage(url: string, development?: string): boolean {
  const parsed = parse(url);
  if (parsed === null) return false;
  if (parsed.protocol === 'app:' && parsed.host === 'platter' && parsed.username === '') return true;
  return development !== undefined && parsed.origin === parse(development)?.origin;
}

/**
 * Whether the renderer may make this request: files of ours, data that it made itself (`blob:`, `data:`), and the
 * developer tools' own pages where those are allowed.
 */
export function mayRequest(url: string, options: { development?: string; devtools: boolean }): boolean {
  const parsed = parse(url);
  if (parsed === null) return false;
  if (isOwnPage(url, options.development)) return true;
  if (parsed.protocol === 'data:') return true;
  if (parsed.protocol === 'blob:') return isOwnPage(url.slice('blob:'.length), options.development);
  if (parsed.protocol === 'devtools:') return options.devtools;
  const server = options.development === undefined ? null : parse(options.development);
  return server !== null && parsed.protocol === 'ws:' && parsed.host === server.host;
}

function parse(url: string): URL | null {
  try {
    return new URL(url);
  } catch {
    return null;
  }
}

/** From a URL of the `app://` scheme to a file of the built renderer. Pure. */
import { extname, join, sep } from 'node:path';

const MIME: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webp': 'image/webp',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
  '.txt': 'text/plain; charset=utf-8',
};

export interface ServedFile {
  path: string;
  type: string;
}

/**
 * The file that a URL names, or null when it names none: another host, a kind of file that the renderer has no use for,
 * or a path that would leave `root` (dot segments, encoded or not, back slashes, drive letters, NUL).
 * @param root absolute path of the built renderer
 */
export function fileOf(root: string, url: string): ServedFile | null {
  let pathname: string;
  try {
    const parsed = new URL(url);
    if (parsed.protocol !== 'app:' || parsed.host !== 'platter') return null;
    pathname = decodeURIComponent(parsed.pathname);
  } catch {
    return null;
  }
  const parts = pathname.split('/').slice(1);
  if (parts.some((part) => part === '' || part === '.' || part === '..' || /[\\:\0]/.test(part))) return null;
  const path = join(root, ...parts);
  const type = MIME[extname(path).toLowerCase()];
  if (type === undefined || !path.startsWith(root + sep)) return null;
  return { path, type };
}

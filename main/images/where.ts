/** A folder, shortened for display: `~` for the home folder, the middle left out when it is long. */
import { dirname, sep } from 'node:path';

export function displayFolder(path: string, home: string, longest = 48): string {
  const folder = dirname(path);
  const short = folder === home || folder.startsWith(home + sep) ? `~${folder.slice(home.length)}` : folder;
  if (short.length <= longest) return short;
  const parts = short.split(sep);
  const first = parts[0] === '' ? `${sep}${parts[1]}` : parts[0];
  let tail = parts.at(-1) ?? '';
  for (const part of parts.slice(0, -1).toReversed()) {
    if (first.length + tail.length + part.length + 4 > longest) break;
    tail = `${part}${sep}${tail}`;
  }
  return `${first}${sep}…${sep}${tail}`;
}

/**
 * What a process that was ended in the middle of a new image left beside it: the temporary file under which an image grows, and the
 * extents of a VMDK that consists of several files.
 */
import { readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Names in the target's folder that may be such leftovers. An unreadable folder has none. */
export function candidates(target: string): string[] {
  const name = basename(target);
  const stem = name.replace(/\.[^.]*$/, '');
  const temporary = new RegExp(`^\\.${escape(name)}\\.[0-9a-f]{12}\\.part$`);
  const extent = new RegExp(`^${escape(stem)}-(flat|[sf]\\d{3})\\.[^.]+$`);
  try {
    return readdirSync(dirname(target)).filter((one) => temporary.test(one) || extent.test(one));
  } catch {
    return [];
  }
}

/** Removes the candidates that were not there before. Answers what could not be removed. */
export function removeLeftovers(target: string, before: readonly string[]): string[] {
  return candidates(target).filter((name) => {
    if (before.includes(name)) return false;
    try {
      rmSync(join(dirname(target), name), { force: true });
      return false;
    } catch {
      return true;
    }
  });
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

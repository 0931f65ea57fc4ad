/** Whether a file is still the one that was opened. */
import { stat } from 'node:fs/promises';
import type { StaleReason } from '#contract/images.ts';

/** What tells one state of a file from another. */
export interface Stamp {
  dev: number;
  ino: number;
  size: number;
  mtimeMs: number;
}

/** Undefined when it cannot be told: no file, no permission, a file system that is away. */
export async function stampOf(path: string): Promise<Stamp | undefined> {
  try {
    const { dev, ino, size, mtimeMs } = await stat(path);
    return { dev, ino, size, mtimeMs };
  } catch {
    return undefined;
  }
}

/** What happened to the file at `path` since it had this stamp; undefined when it is the same, or nobody can tell. */
export async function staleSince(before: Stamp, path: string): Promise<StaleReason | undefined> {
  try {
    const now = await stat(path);
    if (now.ino !== before.ino || now.dev !== before.dev) return 'replaced';
    return now.size !== before.size || now.mtimeMs !== before.mtimeMs ? 'changed' : undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'gone' : undefined;
  }
}

/** The sources of the repository, for tests that look at all of them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../../..');

/** Paths below the root, with forward slashes, of the files below `folder` whose names match. */
export function filesBelow(folder: string, matching: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && matching.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .toSorted();
}

export function readSource(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** Files that prove things, and what only they use. */
export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.includes('/testing/');
}

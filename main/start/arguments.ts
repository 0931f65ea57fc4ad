/** The application's own command line: `platter-app [files…] [--user-data-dir=FOLDER]`. */
import { resolve } from 'node:path';

export interface Arguments {
  /** Absolute paths of the files to attach. */
  files: string[];
  /** Where settings live instead of the user's folder: a second, independent Platter (tests use it). */
  userData?: string;
}

export interface ArgumentsContext {
  /** In a packaged application the first word is ours; else it is Electron's and the application's folder comes first. */
  packaged: boolean;
  appPath: string;
  cwd: string;
}

/**
 * Reads `process.argv`. Words that begin with a dash are Chromium's or ours and never files, except after `--`.
 * @param argv with the executable as its first word
 */
export function parseArguments(argv: readonly string[], context: ArgumentsContext): Arguments {
  const own = argv.slice(context.packaged ? 1 : indexAfterAppPath(argv, context));
  const result: Arguments = { files: [] };
  let onlyFiles = false;
  for (const word of own) {
    if (!onlyFiles && word === '--') onlyFiles = true;
    else if (!onlyFiles && word.startsWith('-')) {
      if (word.startsWith('--user-data-dir=')) {
        result.userData = resolve(context.cwd, word.slice('--user-data-dir='.length));
      }
    } else if (word !== '') result.files.push(resolve(context.cwd, word));
  }
  return result;
}

function indexAfterAppPath(argv: readonly string[], { appPath, cwd }: ArgumentsContext): number {
  const at = argv.findIndex((word, i) => i > 0 && !word.startsWith('-') && resolve(cwd, word) === appPath);
  return at === -1 ? argv.length : at + 1;
}

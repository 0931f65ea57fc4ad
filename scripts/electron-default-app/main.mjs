/**
 * What Electron runs first when it is started as `electron [-r module]… [path] [arguments]…`: loads the application at `path`.
 *
 * The substitute runtime (`scripts/lib/substitute.mjs`) comes without one. This is an ES module with top-level await on
 * purpose: Electron lets `ready` fire when its entry is loaded, and the application's own code must have run before that
 * (`registerSchemesAsPrivileged` throws afterwards).
 */
import { app as official } from 'electron';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Electron's default application has two setters that its documentation leaves out. */
const app =
  /** @type {typeof official & { setAppPath(path: string): void, setVersion(version: string): void }} */ (
    official
  );

/**
 * Words of the command line: modules to load first, and the application's place.
 * @param {string[]} words
 */
function readArguments(words) {
  const modules = [];
  let path;
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index];
    if (word === '-r' || word === '--require') {
      index += 1;
      modules.push(words[index]);
    } else if (word === '--version' || word === '-v') {
      return { modules, version: true };
    } else if (path === undefined && !word.startsWith('-')) {
      path = word;
    }
  }
  return { modules, path, version: false };
}

/** Tells Electron whose application this is, and answers the file to load. */
function adopt(/** @type {string} */ path) {
  if (!statSync(path).isDirectory()) {
    app.setAppPath(dirname(path));
    return path;
  }
  const file = join(path, 'package.json');
  const described = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  const name = described.productName ?? described.name;
  if (name !== undefined) app.setName(name);
  if (described.version !== undefined) app.setVersion(described.version);
  if (described.desktopName !== undefined) app.setDesktopName(described.desktopName);
  app.setPath('userData', join(app.getPath('appData'), app.getName()));
  app.setAppPath(path);
  return join(path, described.main ?? 'index.js');
}

const wanted = readArguments(process.argv.slice(1));
if (wanted.version) {
  process.stdout.write(`v${process.versions.electron}\n`);
  app.exit(0);
} else if (wanted.path === undefined) {
  process.stderr.write('Usage: electron [-r module] path [arguments]\n');
  app.exit(1);
} else {
  try {
    const require = createRequire(join(process.cwd(), 'main.js'));
    for (const name of wanted.modules) require(name);
    await import(pathToFileURL(adopt(resolve(wanted.path))).href);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    app.exit(1);
  }
}

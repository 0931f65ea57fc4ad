/** `npm run -s platter -- …`: the command-line program of this checkout, built when its sources changed. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cli, ensureBuilt } from './lib/build.mjs';
import { ensurePackages } from './lib/npm.mjs';
import { root } from './lib/paths.mjs';
import { script } from './lib/run.mjs';

await script(async () => {
  ensurePackages();
  ensureBuilt(cli, { quiet: true });
  // npm changes to the package's folder: file names are meant from where the person stands.
  const from = process.env.INIT_CWD;
  if (from !== undefined && existsSync(from)) process.chdir(from);
  const program = join(root, cli.product);
  process.argv[1] = program;
  await import(pathToFileURL(program).href);
  return Number(process.exitCode ?? 0);
});

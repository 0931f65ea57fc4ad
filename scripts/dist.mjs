/**
 * `npm run dist`: the application unpacked (`dist/linux-unpacked`) and as a tar.gz, for this machine.
 *
 * `npm run dist -- --linux AppImage deb`, `-- --win nsis`, `-- --mac dmg` give electron-builder's own words for other packages on to it;
 * what it needs for those it downloads, the Electron of another system too.
 */
import { join } from 'node:path';
import { app, ensureBuilt } from './lib/build.mjs';
import { root } from './lib/paths.mjs';
import { forThisSystem, packageArguments, packageEnv } from './lib/package.mjs';
import { run, say, script } from './lib/run.mjs';
import { prepareElectron } from './lib/setup.mjs';
import { forPackaging } from './lib/system.mjs';

await script(async () => {
  const runtime = await prepareElectron(forPackaging);
  ensureBuilt(app);
  const wanted = process.argv.slice(2);
  const targets = wanted.length > 0 ? wanted : ['--linux', 'dir', 'tar.gz'];
  const own = forThisSystem(targets);
  if (own && runtime.kind !== 'official') {
    say(
      'this Electron is not the official one: the packages are for trying out on this machine, not for giving away',
    );
  }
  run(
    join(root, 'node_modules/.bin/electron-builder'),
    [...targets, ...packageArguments(own ? runtime : undefined)],
    {
      env: { ...process.env, ...packageEnv() },
    },
  );
});

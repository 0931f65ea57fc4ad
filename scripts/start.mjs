/** `npm start [-- image…]`: sets everything up, builds what changed and starts Platter. Without a display: the same job headless. */
import { app, cli, ensureBuilt } from './lib/build.mjs';
import { hasDisplay } from './lib/display.mjs';
import { runtimeEnv } from './lib/electron.mjs';
import { runHeadless } from './lib/headless.mjs';
import { root } from './lib/paths.mjs';
import { runAsync, script } from './lib/run.mjs';
import { prepareElectron } from './lib/setup.mjs';

await script(async () => {
  if (!hasDisplay()) return runHeadless(process.argv.slice(2));
  const runtime = await prepareElectron();
  ensureBuilt(app);
  ensureBuilt(cli);
  // npm changes to the package's folder: file names are meant from where the person stands.
  const cwd = process.env.INIT_CWD ?? process.cwd();
  const args = [root, ...process.argv.slice(2)];
  return runAsync(runtime.executable, args, { cwd, env: { ...process.env, ...runtimeEnv(runtime) } });
});

/** `npm run e2e -- [playwright arguments]`: the end-to-end tests, or some of them, in the real Electron. */
import { runEndToEnd } from './lib/checks.mjs';
import { buildAll, prepareElectron } from './lib/setup.mjs';
import { script } from './lib/run.mjs';
import { forTests, forVirtualDisplay } from './lib/system.mjs';

await script(async () => {
  const runtime = await prepareElectron([...forVirtualDisplay, ...forTests]);
  buildAll();
  const result = await runEndToEnd(runtime, process.argv.slice(2));
  return result.failed === 0 ? 0 : 1;
});

/**
 * The build of the application: main process and its utility processes, preload, renderer.
 *
 * The targets are older than the Electron that package.json pins: the result must also run on Electron 33 (Chromium 130,
 * Node 20.18), the runtime that tests fall back to where the official download cannot be reached.
 */
import { resolve } from 'node:path';
import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'electron-vite';

const NODE_TARGET = 'node20.18';
const CHROME_TARGET = 'chrome130';

/** How long plugins take is no warning. */
const QUIET = { pluginTimings: false };

/** An absolute path below the repository's root. */
const at = (path: string): string => resolve(import.meta.dirname, path);

export default defineConfig({
  main: {
    build: {
      outDir: at('out/main'),
      target: NODE_TARGET,
      sourcemap: true,
      rolldownOptions: { input: { main: at('main/main.ts') }, checks: QUIET },
    },
  },
  preload: {
    build: {
      outDir: at('out/preload'),
      target: NODE_TARGET,
      // A sandboxed preload script is CommonJS in one file.
      externalizeDeps: false,
      rolldownOptions: {
        input: { preload: at('preload/preload.ts') },
        checks: QUIET,
        output: { format: 'cjs', entryFileNames: '[name].cjs' },
      },
    },
  },
  renderer: {
    root: at('renderer'),
    plugins: [vue()],
    define: {
      __VUE_OPTIONS_API__: 'false',
      __VUE_PROD_DEVTOOLS__: 'false',
      __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false',
      __VUE_I18N_FULL_INSTALL__: 'false',
      __VUE_I18N_LEGACY_API__: 'false',
      __INTLIFY_PROD_DEVTOOLS__: 'false',
      // The Content-Security-Policy forbids `eval`: messages are compiled to a tree, not to a function.
      __INTLIFY_JIT_COMPILATION__: 'true',
    },
    build: {
      outDir: at('out/renderer'),
      target: CHROME_TARGET,
      sourcemap: true,
      // Everything is a file of the app:// scheme; the policy allows no data: URL.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      rolldownOptions: { input: { index: at('renderer/index.html') }, checks: QUIET },
    },
  },
});

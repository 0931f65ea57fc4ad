/** The build of the command-line program: one small entry, a chunk for each subcommand that is loaded when it is asked for. */
import { builtinModules } from 'node:module';
import { resolve } from 'node:path';
import { defineConfig } from 'vite';

export default defineConfig({
  publicDir: false,
  logLevel: 'warn',
  build: {
    outDir: resolve(import.meta.dirname, 'out/cli'),
    emptyOutDir: true,
    target: 'node20.18',
    minify: false,
    modulePreload: false,
    reportCompressedSize: false,
    ssr: true,
    rolldownOptions: {
      input: { platter: resolve(import.meta.dirname, 'cli/platter.ts') },
      external: [...builtinModules, /^node:/],
      output: {
        format: 'es',
        entryFileNames: '[name].mjs',
        chunkFileNames: 'chunks/[name]-[hash].mjs',
      },
    },
  },
  // Everything is bundled: the result needs Node and nothing else. (koffi is looked for when a hole is; without it nothing is lost.)
  ssr: { noExternal: true },
});

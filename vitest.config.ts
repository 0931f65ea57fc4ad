/** Unit tests: they stand beside the file that they test; `tests/unit` has those that look at the whole tree. */
import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [vue()],
  publicDir: false,
  test: {
    environment: 'node',
    include: [
      '{engine,contract,main,preload,cli,renderer,scripts,bench}/**/*.test.ts',
      'tests/{unit,differential,hostile}/**/*.test.ts',
    ],
    exclude: ['node_modules/**', 'out/**', 'dist/**', 'artifacts/**', 'tests/e2e/**'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});

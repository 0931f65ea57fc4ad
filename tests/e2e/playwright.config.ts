/** End-to-end tests drive the built application (`out/`) in a real Electron; `npm test` builds it and provides the runtime. */
import { resolve } from 'node:path';
import { defineConfig } from '@playwright/test';

const artifacts = resolve(import.meta.dirname, '../../artifacts');

export default defineConfig({
  testDir: import.meta.dirname,
  testMatch: ['**/*.e2e.ts', '**/*.spec.ts'],
  outputDir: resolve(artifacts, 'e2e'),
  // One window at a time: several Electrons on two cores make each other slow.
  workers: 1,
  fullyParallel: false,
  forbidOnly: process.env.CI !== undefined,
  retries: 0,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: [['list'], ['json', { outputFile: resolve(artifacts, 'e2e.json') }]],
  use: { screenshot: 'only-on-failure', trace: 'retain-on-failure' },
});

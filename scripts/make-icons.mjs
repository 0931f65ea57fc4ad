/**
 * `node scripts/make-icons.mjs`: draws `resources/icons/platter.svg` as PNGs in the sizes that desktops want. Needs rsvg-convert
 * (Debian: librsvg2-bin). The results are committed; run this when the drawing changes.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './lib/paths.mjs';
import { run, script } from './lib/run.mjs';

const SIZES = [16, 24, 32, 48, 64, 128, 256, 512, 1024];

await script(() => {
  const folder = join(root, 'resources/icons');
  mkdirSync(join(folder, 'png'), { recursive: true });
  for (const size of SIZES) {
    const file = join(folder, 'png', `${size}x${size}.png`);
    run('rsvg-convert', ['-w', String(size), '-h', String(size), join(folder, 'platter.svg'), '-o', file]);
  }
});

/** `npm start` where no window can be shown: Platter's main job, from the broken line to the trace, in the terminal. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cli, ensureBuilt } from './build.mjs';
import { ensurePackages } from './npm.mjs';
import { root } from './paths.mjs';
import { Failure, capture, run, runStatus, say } from './run.mjs';

const LINE = join(root, 'resources/samples/line.txt');
const IMAGE = join(root, 'resources/samples/sample.qcow2');
const WORKLOAD = ['--rw', 'randrw', '--bs', '4k', '--iodepth', '8', '--number-ios', '2000'];

/**
 * @param {string[]} images the image to work on instead of the sample; at most one
 */
export function runHeadless(images) {
  say(
    'there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set): the main job runs in the terminal instead of a window',
  );
  if (images.length > 1) throw new Failure('without a display one image can be worked on, not more');
  ensurePackages();
  ensureBuilt(cli);
  const program = join(root, cli.product);
  const step = (/** @type {string} */ title) => process.stdout.write(`\n== ${title}\n`);

  step('A command line as people paste it');
  process.stdout.write(readFileSync(LINE, 'utf8'));
  step('What is wrong with it (platter lint)');
  // Exit code 1 says that there are findings; anything else is a failure of the program.
  const status = runStatus(process.execPath, [program, 'lint', LINE]);
  if (status > 1) throw new Failure(`platter lint ended with exit code ${status}`);
  const work = mkdtempSync(join(tmpdir(), 'platter-start-'));
  try {
    const repaired = join(work, 'line.txt');
    step('Both fixes accepted (platter lint --fix)');
    const text = capture(process.execPath, [program, 'lint', '--fix', LINE]);
    process.stdout.write(text);
    writeFileSync(repaired, text);
    step(
      '2000 requests through virtqueue, device, image and back (platter run); what is written stays in memory',
    );
    const bound = `drive-virtio-disk2=${images[0] ?? IMAGE}`;
    run(process.execPath, [program, 'run', '--line', repaired, '--image', bound, ...WORKLOAD], {
      cwd: process.env.INIT_CWD ?? process.cwd(),
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return 0;
}

/** `platter convert`: an image's contents into a new image. */
import { allowAll } from '#engine/block/gate.ts';
import { openImage } from '#engine/block/graph.ts';
import { convert as convertImage } from '#engine/block/jobs/convert.ts';
import { PlatterError } from '#engine/errors.ts';
import { targetPath } from '../convert/target.ts';
import { parseCreateOptions } from '../convert/create-options.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import { parseSize } from '../frame/numbers.ts';
import { progressLine } from '../frame/progress.ts';
import { UsageError } from '../frame/usage-error.ts';
import { FOLLOW_OPTION, FORMAT_OPTION, SHARE_OPTION } from './shared.ts';

export const convert = defineCommand({
  name: 'convert',
  operands: 'SOURCE TARGET',
  count: { least: 2, most: 2 },
  help:
    "Copies the contents of the guest's disk into a new image. Stretches of zeroes are left out. The target appears under its name " +
    'only when it is complete: a conversion that fails or is interrupted leaves an old target as it was.\n\n' +
    'The contents of an image with a backing file are its own over those of the backing file: they need --follow.',
  options: {
    ...FORMAT_OPTION,
    target: { kind: 'text', short: 'O', value: 'FMT', help: "the target's format (default raw)" },
    options: {
      kind: 'list',
      short: 'o',
      value: 'KEY=VALUE,…',
      help: 'options of the target, as qemu-img create has them: cluster_size=128k,lazy_refcounts=on',
    },
    sparse: {
      kind: 'text',
      short: 'S',
      value: 'BYTES',
      help: 'runs of this many zero bytes are left out (default 4k); 0 writes everything',
    },
    ...FOLLOW_OPTION,
    progress: { kind: 'flag', short: 'p', help: 'show how far it is' },
    quiet: {
      kind: 'flag',
      short: 'q',
      help: 'accepted for scripts that say it to qemu-img: nothing is said anyway',
    },
    ...SHARE_OPTION,
  },
  examples: [
    {
      line: 'platter convert -O raw disk.qcow2 disk.img',
      says: 'a raw image, sparse where the disk is zero',
    },
    {
      line: 'platter convert -O qcow2 -o cluster_size=128k disk.img disk.qcow2',
      says: 'a qcow2 image with larger clusters',
    },
    {
      line: 'platter convert --follow -O qcow2 overlay.qcow2 flat.qcow2',
      says: 'an overlay and what it stands on in one image',
    },
  ],
  exitCodes: [
    { code: 0, means: 'done' },
    { code: 1, means: 'it failed; there is no half-written target' },
    { code: 130, means: 'it was interrupted (Ctrl-C); there is no half-written target' },
  ],
  async run({ values, operands: [source, target], io }) {
    const sparse = values.sparse === undefined ? undefined : parseSize(values.sparse, '--sparse');
    if (sparse !== undefined && sparse % 512 !== 0) {
      throw new UsageError(`option '--sparse' cannot be '${values.sparse}': expected a multiple of 512`);
    }
    const create = parseCreateOptions(values.options);
    const interrupted = new AbortController();
    const interrupt = (): void => interrupted.abort();
    process.once('SIGINT', interrupt);
    const progress = values.progress ? progressLine(io) : undefined;
    try {
      const opened = await openImage(source, {
        format: values.format,
        gate: values.follow ? allowAll : undefined,
      });
      try {
        await convertImage(opened.node, targetPath(target, opened.node), {
          format: values.target,
          create,
          sparse,
          overwrite: true,
          signal: interrupted.signal,
          onProgress: progress?.show,
        });
      } finally {
        await opened.node.close();
      }
      return 0;
    } catch (error) {
      if (error instanceof PlatterError && error.code === 'job.cancelled') {
        io.err(`platter: ${target}: the conversion was interrupted; no target was left\n`);
        return 130;
      }
      return failed(io, error);
    } finally {
      progress?.end();
      process.off('SIGINT', interrupt);
    }
  },
});

/** `platter commit`: what an overlay holds into an image below it. */
import { allowAll } from '#engine/block/gate.ts';
import { commitImage } from '#engine/block/jobs/commit.ts';
import { IMAGE_OPTS_OPTION, namedImage } from '../image-opts/named-image.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import { interruptible } from '../frame/interrupt.ts';
import { parseSize } from '../frame/numbers.ts';
import { progressLine } from '../frame/progress.ts';
import { CACHE_OPTION, FOLLOW_OPTION, FORMAT_OPTION } from './shared.ts';

export const commit = defineCommand({
  name: 'commit',
  operands: 'OVERLAY',
  count: { least: 1, most: 1 },
  help:
    'Writes what an overlay holds into its backing file, or into an image further down its chain, and empties the overlay. The disk that ' +
    'the overlay shows stays the same at every moment. An overlay of a format other than qcow2 is left as it is.\n\n' +
    'The backing file is written to, and the overlay says which file that is: --follow is needed. Other overlays over the same backing ' +
    'file show something else afterwards.',
  options: {
    ...FORMAT_OPTION,
    ...IMAGE_OPTS_OPTION,
    base: {
      kind: 'text',
      short: 'b',
      value: 'BASE',
      help: 'the image of the chain to write into; implies --keep. Images between it and the overlay become useless',
    },
    keep: { kind: 'flag', short: 'd', help: 'do not empty the overlay: it is going to be removed' },
    rate: { kind: 'text', short: 'r', value: 'RATE', help: 'at most this many bytes a second' },
    ...FOLLOW_OPTION,
    progress: { kind: 'flag', short: 'p', help: 'show how far it is' },
    quiet: { kind: 'flag', short: 'q', help: 'say nothing' },
    ...CACHE_OPTION,
  },
  examples: [
    {
      line: 'platter commit --follow overlay.qcow2',
      says: 'into its backing file; the overlay is empty then',
    },
    {
      line: 'platter commit --follow -b base.img top.qcow2',
      says: 'a chain of several images into its lowest',
    },
  ],
  exitCodes: [
    { code: 0, means: 'done' },
    { code: 1, means: 'it failed; the overlay shows what it showed' },
    { code: 130, means: 'it was interrupted (Ctrl-C); the overlay shows what it showed' },
  ],
  async run({ values, operands: [path], io }) {
    const rate = values.rate === undefined ? undefined : parseSize(values.rate, '--rate');
    const progress = values.progress && !values.quiet ? progressLine(io) : undefined;
    try {
      return await interruptible(io, 'the overlay shows what it showed', async (signal) => {
        const image = namedImage(path, values);
        await commitImage(image.source, {
          ...image.open,
          base: values.base,
          keep: values.keep,
          rate,
          gate: values.follow ? allowAll : undefined,
          signal,
          onProgress: progress?.show,
        });
        progress?.end();
        if (!values.quiet) io.out('Image committed.\n');
        return 0;
      });
    } catch (error) {
      progress?.end();
      return failed(io, error, path);
    }
  },
});

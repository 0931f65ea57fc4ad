/** `platter rebase`: another backing file under an overlay. */
import { allowAll } from '#engine/block/gate.ts';
import { rebaseImage } from '#engine/block/jobs/rebase.ts';
import { IMAGE_OPTS_OPTION, namedImage } from '../image-opts/named-image.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import { interruptible } from '../frame/interrupt.ts';
import { progressLine } from '../frame/progress.ts';
import { UsageError } from '../frame/usage-error.ts';
import { CACHE_OPTION, FOLLOW_OPTION, FORMAT_OPTION, SHARE_OPTION } from './shared.ts';

export const rebase = defineCommand({
  name: 'rebase',
  operands: 'OVERLAY',
  count: { least: 1, most: 1 },
  help:
    'Gives an overlay another backing file. The disk that it shows stays the same: what the new backing file does not have is copied ' +
    'into the overlay first. With --unsafe only the name in the header changes, as after the backing file was moved.\n\n' +
    'The old backing file is read, and whatever the new one names: --follow is needed, except with --unsafe.',
  options: {
    ...FORMAT_OPTION,
    ...IMAGE_OPTS_OPTION,
    backing: {
      kind: 'text',
      short: 'b',
      value: 'BACKING',
      help: "the new backing file, relative to the overlay's folder; '' for none",
    },
    'backing-format': { kind: 'text', short: 'F', value: 'FMT', help: "the new backing file's format" },
    unsafe: {
      kind: 'flag',
      short: 'u',
      help: 'change the name only; what the disk shows may change with it',
    },
    ...FOLLOW_OPTION,
    progress: { kind: 'flag', short: 'p', help: 'show how far it is' },
    quiet: { kind: 'flag', short: 'q', help: 'accepted for scripts: nothing is said anyway' },
    ...SHARE_OPTION,
    ...CACHE_OPTION,
    'source-cache': { kind: 'text', short: 'T', value: 'MODE', help: 'the same' },
  },
  examples: [
    {
      line: 'platter rebase --follow -b base2.qcow2 -F qcow2 overlay.qcow2',
      says: 'onto another image; the disk stays the same',
    },
    { line: "platter rebase --follow -b '' overlay.qcow2", says: 'an image that stands alone' },
    { line: 'platter rebase -u -b new/base.img -F raw overlay.qcow2', says: 'the backing file was moved' },
  ],
  exitCodes: [
    { code: 0, means: 'done' },
    { code: 1, means: 'it failed; the overlay has its old backing file and shows what it showed' },
    { code: 130, means: 'it was interrupted (Ctrl-C); the same' },
  ],
  async run({ values, operands: [path], io }) {
    if (values.backing === undefined && !values.unsafe)
      throw new UsageError('give the backing file (-b), or --unsafe (-u) to take it out without a look');
    const progress = values.progress && !values.quiet ? progressLine(io) : undefined;
    try {
      return await interruptible(io, 'the overlay has its old backing file', async (signal) => {
        const image = namedImage(path, values);
        await rebaseImage(image.source, {
          ...image.open,
          backing: values.backing ?? '',
          backingFormat: values['backing-format'],
          unsafe: values.unsafe,
          gate: values.follow ? allowAll : undefined,
          signal,
          onProgress: progress?.show,
        });
        return 0;
      });
    } catch (error) {
      return failed(io, error, path);
    } finally {
      progress?.end();
    }
  },
});

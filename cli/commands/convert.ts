/** `platter convert`: an image's contents into a new image. */
import { UsageError } from '../frame/usage-error.ts';
import { CONVERT_OPTIONS } from '../convert/options.ts';
import { planConversion } from '../convert/plan.ts';
import { runConversion } from '../convert/run.ts';
import { PlatterError } from '#engine/errors.ts';
import { createSpecs } from '#engine/block/formats/create-specs.ts';
import { asksForHelp } from '../convert/create-options.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import { progressLine } from '../frame/progress.ts';
import { optionsHelp } from '../qemu-img/create-text.ts';

export const convert = defineCommand({
  name: 'convert',
  operands: 'SOURCE… TARGET',
  count: { least: 0, most: 1000 },
  help:
    "Copies the contents of the guest's disk into a new image; several sources come one behind the other. Stretches of zeroes are left " +
    'out. The target appears under its name only when it is complete: a conversion that fails or is interrupted leaves an old target as it ' +
    'was.\n\n' +
    'The contents of an image with a backing file are its own over those of the backing file: they need --follow.',
  options: CONVERT_OPTIONS,
  examples: [
    {
      line: 'platter convert -O raw disk.qcow2 disk.img',
      says: 'a raw image, sparse where the disk is zero',
    },
    {
      line: 'platter convert -c -O qcow2 -o compression_type=zstd disk.img disk.qcow2',
      says: 'a compressed qcow2 image',
    },
    {
      line: 'platter convert --follow -O qcow2 overlay.qcow2 flat.qcow2',
      says: 'an overlay and what it stands on in one image',
    },
    {
      line: 'platter convert -l before-upgrade -O raw disk.qcow2 old.img',
      says: 'the disk as a snapshot keeps it',
    },
    {
      line: 'platter convert -O qcow2 -B base.qcow2 -F qcow2 overlay.vmdk overlay.qcow2',
      says: 'only what lies over the backing file, over a backing file with the same contents',
    },
  ],
  exitCodes: [
    { code: 0, means: 'done' },
    { code: 1, means: 'it failed; there is no half-written target' },
    { code: 130, means: 'it was interrupted (Ctrl-C); there is no half-written target' },
  ],
  async run({ values, operands, io }) {
    if (asksForHelp(values.options)) {
      const format = values.target ?? 'raw';
      const title = operands.length === 0 ? `Supported ${format} options:` : 'Supported options:';
      io.out(optionsHelp(title, createSpecs(format)));
      return 0;
    }
    if (operands.length < 2) {
      const got = operands.length === 0 ? 'nothing' : `'${operands[0]}'`;
      throw new UsageError(`expected SOURCE TARGET, got ${got}`);
    }
    const plan = planConversion(values, operands);
    const interrupted = new AbortController();
    const interrupt = (): void => interrupted.abort();
    process.once('SIGINT', interrupt);
    const progress = values.progress && !values.quiet ? progressLine(io) : undefined;
    try {
      await runConversion(plan, {
        signal: interrupted.signal,
        onProgress: progress?.show,
        warn: (text) => {
          if (!values.quiet) io.err(`platter: ${text}\n`);
        },
      });
      return 0;
    } catch (error) {
      if (error instanceof PlatterError && error.code === 'job.cancelled') {
        io.err(`platter: ${plan.target}: the conversion was interrupted; no target was left\n`);
        return 130;
      }
      return failed(io, error);
    } finally {
      progress?.end();
      process.off('SIGINT', interrupt);
    }
  },
});

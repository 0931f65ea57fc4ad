/** `platter compare`: do two images hold the same disk? */
import { allowAll } from '#engine/block/gate.ts';
import { openImage } from '#engine/block/graph.ts';
import { compareImages, type Comparison } from '#engine/block/jobs/compare.ts';
import { IMAGE_OPTS_OPTION, namedImage } from '../image-opts/named-image.ts';
import { defineCommand } from '../frame/command.ts';
import { failureText } from '../frame/failure.ts';
import { progressLine } from '../frame/progress.ts';
import { UsageError } from '../frame/usage-error.ts';
import { OutputClosed } from '../frame/output-closed.ts';
import { FOLLOW_OPTION, FORMAT_OPTION, SHARE_OPTION } from './shared.ts';

export const compare = defineCommand({
  name: 'compare',
  operands: 'IMAGE IMAGE',
  count: { least: 2, most: 2 },
  help:
    'Reads the disks of two images, of whatever formats, and says whether they are the same, or where they first differ. A disk that is ' +
    'longer than the other counts as the same while the rest is zero.',
  options: {
    ...FORMAT_OPTION,
    ...IMAGE_OPTS_OPTION,
    'second-format': { kind: 'text', short: 'F', value: 'FMT', help: "the second image's format" },
    strict: { kind: 'flag', short: 's', help: 'sizes and what is allocated must be the same too' },
    ...FOLLOW_OPTION,
    progress: { kind: 'flag', short: 'p', help: 'show how far it is' },
    quiet: { kind: 'flag', short: 'q', help: 'say nothing: the exit code tells' },
    ...SHARE_OPTION,
  },
  examples: [
    { line: 'platter compare disk.qcow2 disk.img', says: 'whether a conversion kept every byte' },
    { line: 'platter compare -s old.qcow2 new.qcow2', says: 'whether they are allocated alike too' },
  ],
  exitCodes: [
    { code: 0, means: 'they are the same' },
    { code: 1, means: 'they differ' },
    { code: 2, means: 'an image could not be opened' },
    { code: 4, means: 'reading failed' },
  ],
  async run({ values, operands: [first, second], io }) {
    const progress = values.progress ? progressLine(io) : undefined;
    const gate = values.follow ? allowAll : undefined;
    const share = values['force-share'];
    let code = 2;
    let path = first;
    try {
      const left = namedImage(first, values);
      const one = await openImage(left.source, { ...left.open, gate, share });
      try {
        path = second;
        const right = namedImage(second, { ...values, format: values['second-format'] });
        const two = await openImage(right.source, { ...right.open, gate, share });
        try {
          code = 4;
          const found = await compareImages(one.node, two.node, {
            strict: values.strict,
            onProgress: progress?.show,
          });
          progress?.end();
          if (!values.quiet) io.out(verdictText(found));
          return found.verdict === 'identical' ? 0 : 1;
        } finally {
          await two.node.close();
        }
      } finally {
        await one.node.close();
      }
    } catch (error) {
      if (error instanceof OutputClosed || error instanceof UsageError) throw error;
      io.err(failureText(error, code === 2 ? path : undefined));
      return code;
    }
  },
});

/** qemu-img.c, img_compare. */
function verdictText({ verdict, offset, sizesDiffer }: Comparison): string {
  const warning = sizesDiffer ? 'Warning: Image size mismatch!\n' : '';
  const texts: Record<Comparison['verdict'], string> = {
    identical: `${warning}Images are identical.`,
    content: `${warning}Content mismatch at offset ${offset}!`,
    status: `Strict mode: Offset ${offset} block status mismatch!`,
    size: 'Strict mode: Image size mismatch!',
  };
  return `${texts[verdict]}\n`;
}

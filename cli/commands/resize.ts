/** `platter resize`: another size of the disk. */
import { openImage } from '#engine/block/graph.ts';
import { allowAll } from '#engine/block/gate.ts';
import { resizeImage } from '#engine/block/jobs/resize.ts';
import { IMAGE_OPTS_OPTION, namedImage } from '../image-opts/named-image.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import { parseSize } from '../frame/numbers.ts';
import { UsageError } from '../frame/usage-error.ts';
import { FOLLOW_OPTION, FORMAT_OPTION } from './shared.ts';

export const resize = defineCommand({
  name: 'resize',
  operands: 'IMAGE SIZE',
  count: { least: 2, most: 2 },
  negativeLast: true,
  help:
    'Gives the disk of a raw, qcow2 or LUKS image another size, that of a QED, VDI or VHDX image, a dynamic VHD or a monolithicSparse ' +
    'VMDK a larger one (qemu-img can do it for QED alone); others keep the size that they were made with. SIZE is the new size; with + or - before it, how much is added or taken away. What ' +
    'is added reads as zeroes (in LUKS as noise).\n\n' +
    'An image with a backing file needs --follow: what lies in the backing file must not show through behind the old end.',
  options: {
    ...FORMAT_OPTION,
    ...IMAGE_OPTS_OPTION,
    shrink: {
      kind: 'flag',
      help: 'allow a smaller size: what lies behind it is lost. Shrink the file system and partitions first',
    },
    preallocation: {
      kind: 'text',
      value: 'MODE',
      choices: ['off', 'metadata', 'falloc', 'full'],
      help: 'how much of what is added is reserved beforehand, for raw, qcow2 and LUKS (falloc and full)',
    },
    ...FOLLOW_OPTION,
    quiet: { kind: 'flag', short: 'q', help: 'say nothing' },
  },
  examples: [
    { line: 'platter resize disk.qcow2 40G', says: 'a disk of 40 GiB' },
    { line: 'platter resize disk.qcow2 +5G', says: '5 GiB more' },
  ],
  exitCodes: [
    { code: 0, means: 'done' },
    { code: 1, means: 'it failed; the disk has its old size' },
  ],
  async run({ values, operands: [path, text], io }) {
    const relative = text.startsWith('+') || text.startsWith('-');
    const bytes = parseSize(relative ? text.slice(1) : text, 'SIZE');
    try {
      const image = namedImage(path, values);
      const { node } = await openImage(image.source, {
        ...image.open,
        readOnly: false,
        gate: values.follow ? allowAll : undefined,
      });
      try {
        const size = relative ? node.virtualSize + (text.startsWith('-') ? -bytes : bytes) : bytes;
        if (size < 0)
          throw new UsageError(`SIZE cannot be '${text}': the disk has ${node.virtualSize} bytes`);
        await resizeImage(node, size, { shrink: values.shrink, preallocation: values.preallocation });
      } finally {
        await node.close();
      }
      if (!values.quiet) io.out('Image resized.\n');
      return 0;
    } catch (error) {
      return failed(io, error, path);
    }
  },
});

/** `platter bitmap`: persistent dirty bitmaps of a qcow2 image. */
import { openImage } from '#engine/block/graph.ts';
import { changeBitmap, type BitmapAction } from '#engine/block/jobs/bitmap.ts';
import { IMAGE_OPTS_OPTION, namedImage } from '../image-opts/named-image.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import { parseSize } from '../frame/numbers.ts';
import { UsageError } from '../frame/usage-error.ts';
import { FORMAT_OPTION } from './shared.ts';

export const bitmap = defineCommand({
  name: 'bitmap',
  operands: 'IMAGE BITMAP',
  count: { least: 2, most: 2 },
  help:
    'Changes a persistent bitmap, which records what parts of the disk were written since it was added or cleared. Several actions are ' +
    'done in the order in which they stand below.',
  options: {
    ...FORMAT_OPTION,
    ...IMAGE_OPTS_OPTION,
    add: { kind: 'flag', help: 'a new bitmap, enabled' },
    clear: { kind: 'flag', help: 'nothing counts as written any more' },
    merge: { kind: 'list', value: 'BITMAP', help: 'what is set in that bitmap is set in this one too' },
    enable: { kind: 'flag', help: 'record every write from now on' },
    disable: { kind: 'flag', help: 'record nothing any more' },
    remove: { kind: 'flag', help: 'take it out of the image' },
    granularity: {
      kind: 'text',
      short: 'g',
      value: 'BYTES',
      help: 'with --add: what one bit stands for, a power of two from 512 (default: the cluster size, 4k to 64k)',
    },
    'source-file': {
      kind: 'text',
      short: 'b',
      value: 'IMAGE',
      help: 'with --merge: the image that holds the other bitmap',
    },
    'source-format': { kind: 'text', short: 'F', value: 'FMT', help: 'its format' },
  },
  examples: [
    { line: 'platter bitmap --add -g 64k disk.qcow2 daily', says: 'records writes from now on' },
    { line: 'platter bitmap --clear disk.qcow2 daily', says: 'begins anew, after a backup' },
  ],
  exitCodes: [
    { code: 0, means: 'done' },
    { code: 1, means: 'it failed' },
  ],
  async run({ values, operands: [path, name], io }) {
    if (values.granularity !== undefined && !values.add)
      throw new UsageError('--granularity goes with --add');
    if (values['source-file'] !== undefined && values.merge.length === 0)
      throw new UsageError('--source-file goes with --merge');
    if (values.enable && values.disable) throw new UsageError('give one of --enable and --disable');
    const granularity =
      values.granularity === undefined ? undefined : parseSize(values.granularity, '--granularity');
    const simple = (['enable', 'disable', 'remove'] as const).filter((kind) => values[kind]);
    if (!values.add && !values.clear && values.merge.length === 0 && simple.length === 0)
      throw new UsageError('give one of --add, --clear, --merge, --enable, --disable and --remove');
    try {
      const image = namedImage(path, values);
      const { node } = await openImage(image.source, { ...image.open, backing: 'skip', readOnly: false });
      try {
        const other = values['source-file'];
        const opened =
          other === undefined
            ? undefined
            : await openImage(other, { format: values['source-format'], backing: 'skip' });
        try {
          const actions: BitmapAction[] = [
            ...(values.add ? [{ kind: 'add' as const, granularity }] : []),
            ...(values.clear ? [{ kind: 'clear' as const }] : []),
            ...values.merge.map((from) => ({ kind: 'merge' as const, from, source: opened?.node })),
            ...simple.map((kind) => ({ kind })),
          ];
          await changeBitmap(node, name, actions);
        } finally {
          await opened?.node.close();
        }
      } finally {
        await node.close();
      }
      return 0;
    } catch (error) {
      return failed(io, error, path);
    }
  },
});

/** `platter bitmap`: persistent dirty bitmaps of a qcow2 image. */
import { openImage } from '#engine/block/graph.ts';
import { changeBitmap, type BitmapAction } from '#engine/block/jobs/bitmap.ts';
import { IMAGE_OPTS_OPTION, namedImage, type NamedImage } from '../image-opts/named-image.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import { parseSize } from '../frame/numbers.ts';
import { UsageError } from '../frame/usage-error.ts';
import { FORMAT_OPTION } from './shared.ts';

const ACTIONS = ['add', 'clear', 'merge', 'enable', 'disable', 'remove'] as const;

export const bitmap = defineCommand({
  name: 'bitmap',
  operands: 'IMAGE BITMAP',
  count: { least: 2, most: 2 },
  help:
    'Changes a persistent bitmap, which records what parts of the disk were written since it was added or cleared. Several actions are ' +
    'done in the order in which they are given.',
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
  async run({ values, operands: [path, name], given, io }) {
    if (values.granularity !== undefined && !values.add)
      throw new UsageError('--granularity goes with --add');
    if (values['source-file'] !== undefined && values.merge.length === 0)
      throw new UsageError('--source-file goes with --merge');
    const granularity =
      values.granularity === undefined ? undefined : parseSize(values.granularity, '--granularity');
    const kinds = given
      .map((option) => ACTIONS.find((kind) => kind === option))
      .filter((kind) => kind !== undefined);
    if (kinds.length === 0)
      throw new UsageError('give one of --add, --clear, --merge, --enable, --disable and --remove');
    try {
      const image = namedImage(path, values);
      const { node } = await openImage(image.source, {
        ...image.open,
        backing: 'skip',
        dataFile: 'skip',
        readOnly: false,
      });
      try {
        const other = otherImage(values);
        const opened =
          other === undefined
            ? undefined
            : await openImage(other.source, { ...other.open, backing: 'skip', dataFile: 'skip' });
        try {
          const merged = values.merge.values();
          const actions = kinds.map((kind): BitmapAction => {
            if (kind === 'merge') return { kind, from: merged.next().value ?? '', source: opened?.node };
            return kind === 'add' ? { kind, granularity } : { kind };
          });
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

/** As QEMU: a name, also `json:{…}`; never a list of options, whatever the image is. */
function otherImage(values: {
  'source-file': string | undefined;
  'source-format': string | undefined;
  object: readonly string[];
}): NamedImage | undefined {
  const name = values['source-file'];
  if (name === undefined) return undefined;
  return namedImage(name, { 'image-opts': false, object: values.object, format: values['source-format'] });
}

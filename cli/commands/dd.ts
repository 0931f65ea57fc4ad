/** `platter dd`: blocks of a disk into a new image. */
import { allowAll } from '#engine/block/gate.ts';
import { openImage } from '#engine/block/graph.ts';
import { ddImage } from '#engine/block/jobs/dd.ts';
import { targetPath } from '../convert/target.ts';
import { IMAGE_OPTS_OPTION, namedImage } from '../image-opts/named-image.ts';
import { plainPath } from '../image-opts/plain-path.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import { interruptible } from '../frame/interrupt.ts';
import { parseSize } from '../frame/numbers.ts';
import { progressLine } from '../frame/progress.ts';
import { UsageError } from '../frame/usage-error.ts';
import { FOLLOW_OPTION, FORMAT_OPTION, SHARE_OPTION } from './shared.ts';

const NAMES = ['if', 'of', 'bs', 'count', 'skip'];

export const dd = defineCommand({
  name: 'dd',
  operands: 'if=SOURCE of=TARGET [bs=N] [count=N] [skip=N]',
  count: { least: 2, most: 5 },
  help:
    'Copies blocks of a disk into a new image. A block has bs bytes (512 unless said). The first skip blocks are left out; with count the ' +
    'disk counts as if it ended behind that many blocks, the left out ones among them, as with qemu-img. Zeroes are not written.\n\n' +
    'The target appears under its name only when it is complete.',
  options: {
    ...FORMAT_OPTION,
    ...IMAGE_OPTS_OPTION,
    target: { kind: 'text', short: 'O', value: 'FMT', help: "the target's format (default raw)" },
    ...FOLLOW_OPTION,
    progress: { kind: 'flag', short: 'p', help: 'show how far it is' },
    ...SHARE_OPTION,
  },
  examples: [
    { line: 'platter dd bs=1M count=1 if=disk.qcow2 of=first.img', says: 'the first MiB as a raw image' },
    { line: 'platter dd -O qcow2 skip=2048 if=disk.img of=rest.qcow2', says: 'all but the first MiB' },
  ],
  exitCodes: [
    { code: 0, means: 'done' },
    { code: 1, means: 'it failed; there is no half-written target' },
    { code: 130, means: 'it was interrupted (Ctrl-C); there is no half-written target' },
  ],
  async run({ values, operands, io }) {
    const given = parseOperands(operands);
    const number = (name: string): number | undefined => {
      const text = given.get(name);
      return text === undefined ? undefined : parseSize(text, name);
    };
    const source = required(given, 'if');
    const target = required(given, 'of');
    const blocks = { bs: number('bs'), count: number('count'), skip: number('skip') };
    const progress = values.progress ? progressLine(io) : undefined;
    try {
      return await interruptible(io, 'no target was left', async (signal) => {
        const image = namedImage(source, values);
        const { node } = await openImage(image.source, {
          ...image.open,
          share: values['force-share'],
          gate: values.follow ? allowAll : undefined,
        });
        try {
          const done = await ddImage(node, targetPath(plainPath(target), node), {
            ...blocks,
            format: values.target,
            overwrite: true,
            signal,
            onProgress: progress?.show,
          });
          if (done.pastEnd) io.err(`platter: ${source}: cannot skip to specified offset\n`);
        } finally {
          await node.close();
        }
        return 0;
      });
    } catch (error) {
      return failed(io, error);
    } finally {
      progress?.end();
    }
  },
});

function parseOperands(words: readonly string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (const word of words) {
    const equals = word.indexOf('=');
    const name = word.slice(0, Math.max(0, equals));
    if (!NAMES.includes(name)) {
      throw new UsageError(`there is no operand '${word}': it is one of ${NAMES.join('=, ')}=`);
    }
    given.set(name, word.slice(equals + 1));
  }
  return given;
}

function required(given: ReadonlyMap<string, string>, name: string): string {
  const value = given.get(name);
  if (value === undefined || value === '') throw new UsageError(`give ${name}=FILE`);
  return value;
}

/** `platter create`: an empty image. */
import { realpathSync, statSync } from 'node:fs';
import { createSpecs } from '#engine/block/formats/create-specs.ts';
import { createImage } from '#engine/block/jobs/create.ts';
import { resolveReference } from '#engine/block/references.ts';
import { PlatterError } from '#engine/errors.ts';
import { asksForHelp, optionValues, splitOptions } from '../convert/create-options.ts';
import { OBJECT_OPTION, Secrets } from '../convert/secrets.ts';
import { plainPath } from '../image-opts/plain-path.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import { parseSize } from '../frame/numbers.ts';
import { UsageError } from '../frame/usage-error.ts';
import { formattingLine, optionsHelp } from '../qemu-img/create-text.ts';

export const create = defineCommand({
  name: 'create',
  operands: 'IMAGE [SIZE]',
  count: { least: 0, most: 2 },
  help:
    'Makes an empty image. SIZE is in bytes, or with a suffix: 512M, 40G. With a backing file it may be left out: the disk is then as ' +
    'large as that of the backing file. An image that exists is replaced, once the new one is complete.\n\n' +
    '-o help says which options a format has.',
  options: {
    format: { kind: 'text', short: 'f', value: 'FMT', help: 'its format (default raw)' },
    options: {
      kind: 'list',
      short: 'o',
      value: 'KEY=VALUE,…',
      help: 'options of the format; help lists them',
    },
    backing: {
      kind: 'text',
      short: 'b',
      value: 'FILE',
      help: 'the image that shows through where nothing is written; relative to the new image',
    },
    'backing-format': { kind: 'text', short: 'F', value: 'FMT', help: 'the format of the backing file' },
    unsafe: {
      kind: 'flag',
      short: 'u',
      help: 'do not look at the backing file: it need not exist. SIZE is needed then',
    },
    ...OBJECT_OPTION,
    quiet: { kind: 'flag', short: 'q', help: 'do not say what is made' },
  },
  examples: [
    { line: 'platter create -f qcow2 disk.qcow2 40G', says: 'an empty disk of 40 GiB' },
    {
      line: 'platter create -f qcow2 -b base.qcow2 -F qcow2 overlay.qcow2',
      says: 'what is written to it leaves base.qcow2 as it is',
    },
    {
      line: 'platter create -f luks --object secret,id=s0,file=pass.txt -o key-secret=s0 disk.luks 10G',
      says: 'an encrypted disk',
    },
    { line: 'platter create -f qcow2 -o help', says: 'the options of qcow2' },
  ],
  exitCodes: [
    { code: 0, means: 'done' },
    { code: 1, means: 'it failed; an older image of that name is as it was' },
  ],
  async run({ values, operands: [path, sizeText], io }) {
    const format = values.format ?? 'raw';
    try {
      const specs = createSpecs(format);
      if (asksForHelp(values.options)) {
        io.out(
          optionsHelp(path === undefined ? `Supported ${format} options:` : 'Supported options:', specs),
        );
        return 0;
      }
      if (path === undefined) throw new UsageError('expected IMAGE [SIZE], got nothing');
      const given = splitOptions(values.options, specs);
      for (const [name, value] of [
        ['backing_file', values.backing],
        ['backing_fmt', values['backing-format']],
      ] as const) {
        if (value === undefined) continue;
        if (!specs.some((spec) => spec.name === name))
          throw new UsageError(`a ${format} image cannot have a backing file`);
        given.set(name, value);
      }
      const secrets = new Secrets(values.object);
      const options = optionValues(given, specs, secrets);
      const { size: said, ...create } = options;
      const size = sizeText === undefined ? said : parseSize(sizeText, 'SIZE');
      const backing = given.get('backing_file');
      const target = newPath(plainPath(path));
      await createImage(target, {
        format,
        size: size === undefined ? undefined : Number(size),
        create,
        overwrite: true,
        unsafe: values.unsafe,
        // The person named this one file; what it names in turn is not opened.
        gate: {
          allow: ({ resolved }) =>
            backing !== undefined && resolved === resolveReference(backing, target, path),
        },
        secret: () => secrets.only,
        onStart: ({ size: bytes }) => {
          if (values.quiet) return;
          given.set('size', String(bytes));
          io.out(formattingLine(path, format, specs, given, { ...options, size: bytes }));
        },
      });
      return 0;
    } catch (error) {
      return failed(io, error, path);
    }
  },
});

/** The file behind a symbolic link, which keeps its name; nothing but a regular file is replaced. Throws `cli.target-not-a-file`. */
function newPath(path: string): string {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there === undefined) return path;
  if (there.isFile()) return realpathSync(path);
  throw new PlatterError('cli.target-not-a-file', `${path} is there and is no regular file`, {
    image: path,
    hint: 'Name a file that does not exist.',
  });
}

/** `platter amend`: what an image was made with, changed afterwards. */
import { openImage } from '#engine/block/graph.ts';
import { allowAll } from '#engine/block/gate.ts';
import { amendSpecs } from '#engine/block/formats/create-specs.ts';
import { amendImage } from '#engine/block/jobs/amend.ts';
import { asksForHelp, optionValues, splitOptions } from '../convert/create-options.ts';
import { Secrets } from '../convert/secrets.ts';
import { IMAGE_OPTS_OPTION, namedImage } from '../image-opts/named-image.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import { progressLine } from '../frame/progress.ts';
import { UsageError } from '../frame/usage-error.ts';
import { optionsHelp } from '../qemu-img/create-text.ts';
import { FOLLOW_OPTION, FORMAT_OPTION, SHARE_OPTION } from './shared.ts';

export const amend = defineCommand({
  name: 'amend',
  operands: 'IMAGE',
  count: { least: 0, most: 1 },
  help:
    'Changes what a qcow2 image was made with: its version (compat), lazy_refcounts, refcount_bits, size, the name of its data file; ' +
    'and adds or removes passphrases of a LUKS image or of an encrypted qcow2 image (state, new-secret, old-secret, keyslot).\n\n' +
    '-o help with -f says what can be changed. Every step leaves the image sound.',
  options: {
    ...FORMAT_OPTION,
    ...IMAGE_OPTS_OPTION,
    options: {
      kind: 'list',
      short: 'o',
      value: 'KEY=VALUE,…',
      help: 'what shall be different; help lists it',
    },
    force: { kind: 'flag', help: 'allow what may lose the contents: emptying the last key slot' },
    shrink: { kind: 'flag', help: 'allow a smaller size: what lies behind it is lost' },
    ...FOLLOW_OPTION,
    progress: { kind: 'flag', short: 'p', help: 'show how far it is' },
    quiet: { kind: 'flag', short: 'q', help: 'accepted for scripts: nothing is said anyway' },
    cache: { kind: 'text', short: 't', value: 'MODE', help: 'accepted for scripts, and of no consequence' },
    ...SHARE_OPTION,
  },
  examples: [
    { line: 'platter amend -o compat=1.1 old.qcow2', says: 'the newer version of the format' },
    { line: 'platter amend -o refcount_bits=64 disk.qcow2', says: 'wider reference counts' },
    {
      line: 'platter amend --object secret,id=old,file=a --object secret,id=new,file=b -o state=active,old-secret=old,new-secret=new disk.luks',
      says: 'a second passphrase',
    },
  ],
  exitCodes: [
    { code: 0, means: 'done' },
    { code: 1, means: 'it failed; what was changed before it stays changed' },
  ],
  async run({ values, operands: [path], io }) {
    if (values.options.length === 0) throw new UsageError('say what shall be different: -o KEY=VALUE');
    if (asksForHelp(values.options) && values.format !== undefined) {
      io.out(optionsHelp(`Amend options for '${values.format}':`, amendSpecs(values.format)));
      return 0;
    }
    if (path === undefined) throw new UsageError('expected IMAGE, got nothing');
    const progress = values.progress && !values.quiet ? progressLine(io) : undefined;
    try {
      const secrets = new Secrets(values.object);
      const image = namedImage(path, values);
      const { node } = await openImage(image.source, {
        format: image.open.format,
        readOnly: false,
        gate: values.follow ? allowAll : undefined,
        backing: values.follow ? 'require' : 'tolerate',
      });
      try {
        const specs = amendSpecs(node.driver);
        if (asksForHelp(values.options)) {
          io.out(optionsHelp(`Amend options for '${node.driver}':`, specs));
          return 0;
        }
        const given = splitOptions(values.options, specs);
        const options = optionValues(given, specs, secrets);
        const added = given.get('new-secret') ?? given.get('encrypt.new-secret');
        progress?.show(0, 1);
        await amendImage(node, options, {
          passphrase:
            (typeof image.source === 'string' ? undefined : image.source.secret) ??
            secrets.firstBeside(added),
          force: values.force,
          shrink: values.shrink,
        });
        progress?.show(1, 1);
      } finally {
        await node.close();
      }
      return 0;
    } catch (error) {
      return failed(io, error, path);
    } finally {
      progress?.end();
    }
  },
});

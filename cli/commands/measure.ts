/** `platter measure`: how much room a new image takes. */
import { createSpecs } from '#engine/block/formats/create-specs.ts';
import { allowAll } from '#engine/block/gate.ts';
import { openImage } from '#engine/block/graph.ts';
import { measureImage, type Measured } from '#engine/block/jobs/measure.ts';
import { asksForHelp, optionValues, splitOptions } from '../convert/create-options.ts';
import { Secrets } from '../convert/secrets.ts';
import { snapshotName } from '../convert/plan.ts';
import { IMAGE_OPTS_OPTION, namedImage } from '../image-opts/named-image.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import { parseSize } from '../frame/numbers.ts';
import { UsageError } from '../frame/usage-error.ts';
import { optionsHelp } from '../qemu-img/create-text.ts';
import { qemuJson, type QemuObject } from '../qemu-img/order.ts';
import { FOLLOW_OPTION, FORMAT_OPTION, OUTPUT_OPTIONS, SHARE_OPTION, wantsJson } from './shared.ts';

export const measure = defineCommand({
  name: 'measure',
  operands: '[IMAGE]',
  count: { least: 0, most: 1 },
  help:
    'Says how much room a new image takes, before it is made: for the contents of IMAGE, or with --size for an empty disk. Nothing is ' +
    'written, and only tables are read.',
  options: {
    ...FORMAT_OPTION,
    ...IMAGE_OPTS_OPTION,
    target: {
      kind: 'text',
      short: 'O',
      value: 'FMT',
      help: 'format of the new image: raw (default), qcow2 or luks',
    },
    options: {
      kind: 'list',
      short: 'o',
      value: 'KEY=VALUE,…',
      help: 'options of the new image, as create has them',
    },
    size: { kind: 'text', value: 'BYTES', help: 'for an empty disk of this size' },
    snapshot: { kind: 'text', short: 'l', value: 'NAME', help: 'for the disk as a snapshot keeps it' },
    ...OUTPUT_OPTIONS,
    ...FOLLOW_OPTION,
    ...SHARE_OPTION,
  },
  examples: [
    { line: 'platter measure --size 40G -O qcow2', says: 'an empty qcow2 image, and a full one' },
    { line: 'platter measure -O qcow2 disk.img', says: 'a qcow2 image of these contents' },
  ],
  exitCodes: [
    { code: 0, means: 'done' },
    { code: 1, means: 'it cannot be told' },
  ],
  async run({ values, operands: [path], io }) {
    const format = values.target ?? 'raw';
    try {
      const specs = createSpecs(format);
      if (asksForHelp(values.options)) {
        io.out(optionsHelp(`Supported ${format} options:`, specs));
        return 0;
      }
      if (path === undefined && (values.format !== undefined || values.snapshot !== undefined))
        throw new UsageError('-f and -l say something about IMAGE: give one');
      if ((path === undefined) === (values.size === undefined))
        throw new UsageError('give either IMAGE or --size');
      const given = splitOptions(values.options, specs);
      const secrets = new Secrets(values.object);
      const { size: _, ...create } = optionValues(given, specs, secrets);
      const wanted = { format, create };
      let measured: Measured;
      if (values.size !== undefined) measured = await measureImage(parseSize(values.size, '--size'), wanted);
      else {
        const image = namedImage(path, values);
        const { node } = await openImage(image.source, {
          ...image.open,
          snapshot: snapshotName(values.snapshot),
          gate: values.follow ? allowAll : undefined,
        });
        try {
          measured = await measureImage(node, wanted);
        } finally {
          await node.close();
        }
      }
      io.out(wantsJson(values) ? `${qemuJson(measureObject(measured))}\n` : measureText(measured));
      return 0;
    } catch (error) {
      return failed(io, error, path);
    }
  },
});

function measureObject(measured: Measured): QemuObject {
  const object: QemuObject = { required: measured.required, 'fully-allocated': measured.fullyAllocated };
  if (measured.bitmaps !== undefined) object.bitmaps = measured.bitmaps;
  return object;
}

function measureText(measured: Measured): string {
  const bitmaps = measured.bitmaps === undefined ? '' : `bitmaps size: ${measured.bitmaps}\n`;
  return `required size: ${measured.required}\nfully allocated size: ${measured.fullyAllocated}\n${bitmaps}`;
}

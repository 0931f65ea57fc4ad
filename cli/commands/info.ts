/** `platter info`: what an image is. */
import type { ImageInfo } from '#contract/images.ts';
import { openImage } from '#engine/block/graph.ts';
import { allowAll } from '#engine/block/gate.ts';
import { IMAGE_OPTS_OPTION, namedImage } from '../image-opts/named-image.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import type { Io } from '../frame/io.ts';
import { chainObjects, infoObject } from '../qemu-img/info-json.ts';
import { infoText } from '../qemu-img/info-text.ts';
import { qemuJson } from '../qemu-img/order.ts';
import { FORMAT_OPTION, OUTPUT_OPTIONS, SHARE_OPTION, wantsJson } from './shared.ts';

export const info = defineCommand({
  name: 'info',
  operands: 'IMAGE',
  count: { least: 1, most: 1 },
  help:
    "Says what an image is: its format, the size of the guest's disk, what it takes on this disk, its backing file, its snapshots and " +
    'what is particular to its format. Text and JSON are those of qemu-img info.\n\n' +
    'Only the header is read. The backing file that an image names is looked into with --backing-chain alone.',
  options: {
    ...FORMAT_OPTION,
    ...IMAGE_OPTS_OPTION,
    ...OUTPUT_OPTIONS,
    'backing-chain': { kind: 'flag', help: 'the backing file too, and its backing file, and so on' },
    follow: { kind: 'flag', help: 'the same' },
    ...SHARE_OPTION,
  },
  examples: [
    { line: 'platter info disk.qcow2', says: 'the facts, for people' },
    { line: 'platter info --json disk.qcow2', says: 'the same as JSON, with exact sizes in bytes' },
    {
      line: 'platter info --backing-chain overlay.qcow2',
      says: 'every image of the chain, the overlay first',
    },
  ],
  exitCodes: [
    { code: 0, means: 'done' },
    { code: 1, means: 'the image, or one of its chain, could not be opened' },
  ],
  async run({ values, operands: [path], io }) {
    const chain = values['backing-chain'] || values.follow;
    const json = wantsJson(values);
    try {
      const image = namedImage(path, values);
      const opened = await openImage(image.source, {
        ...image.open,
        share: values['force-share'],
        gate: chain ? allowAll : undefined,
        backing: chain ? 'require' : 'skip',
        dataFile: chain ? undefined : 'skip',
      });
      await opened.node.close();
      // Of a file itself QEMU names the protocol as its format.
      const info = image.bare ? { ...opened.info, format: 'file' } : opened.info;
      const name = image.name(opened.info.format);
      if (chain) printChain(info, name, json, io);
      else printOne(info, name, json, io);
      return 0;
    } catch (error) {
      return failed(io, error, path);
    }
  },
});

function printChain(image: ImageInfo, path: string, json: boolean, io: Io): void {
  const layers = chainObjects(image, path);
  io.out(json ? `${qemuJson(layers)}\n` : layers.map(infoText).join('\n'));
}

function printOne(image: ImageInfo, path: string, json: boolean, io: Io): void {
  const object = infoObject(image, path);
  io.out(json ? `${qemuJson(object)}\n` : infoText(object));
  if (image.backingFilename !== undefined) {
    io.err(`platter: ${path}: the backing file was not opened; --backing-chain looks into it too\n`);
  }
}

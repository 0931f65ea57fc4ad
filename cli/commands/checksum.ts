/** `platter checksum`: of the disk, not of the file. */
import { allowAll } from '#engine/block/gate.ts';
import { openImage } from '#engine/block/graph.ts';
import { CHECKSUMS, checksumImage, type ChecksumAlgorithm } from '#engine/block/jobs/checksum.ts';
import { IMAGE_OPTS_OPTION, namedImage } from '../image-opts/named-image.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import { interruptible } from '../frame/interrupt.ts';
import { progressLine } from '../frame/progress.ts';
import { FOLLOW_OPTION, FORMAT_OPTION, OUTPUT_OPTIONS, SHARE_OPTION, wantsJson } from './shared.ts';

export const checksum = defineCommand({
  name: 'checksum',
  operands: 'IMAGE…',
  count: { least: 1, most: 1000 },
  help:
    "Computes a checksum of what the guest sees on its disk. It is that of the disk's raw image, so two images of different formats that " +
    'hold the same disk have the same one. The lines are those of sha256sum and b3sum.\n\n' +
    'The disk of an image with a backing file is its own contents over those of the backing file: it needs --follow.',
  options: {
    ...FORMAT_OPTION,
    ...IMAGE_OPTS_OPTION,
    algorithm: {
      kind: 'text',
      short: 'a',
      value: 'NAME',
      choices: CHECKSUMS,
      help: 'sha256 (the default) or blake3',
    },
    snapshot: { kind: 'text', short: 'l', value: 'NAME', help: 'of this internal snapshot, by id or name' },
    ...FOLLOW_OPTION,
    ...OUTPUT_OPTIONS,
    progress: { kind: 'flag', short: 'p', help: 'show how far it is' },
    ...SHARE_OPTION,
  },
  examples: [
    { line: 'platter checksum disk.qcow2', says: 'the same as sha256sum of the raw image' },
    { line: 'platter checksum -a blake3 old.vmdk new.qcow2', says: 'whether two images hold the same disk' },
  ],
  exitCodes: [
    { code: 0, means: 'done' },
    { code: 1, means: 'an image could not be read' },
    { code: 130, means: 'it was interrupted (Ctrl-C)' },
  ],
  async run({ values, operands, io }) {
    const algorithm: ChecksumAlgorithm = values.algorithm === 'blake3' ? 'blake3' : 'sha256';
    let code = 0;
    const found: { filename: string; algorithm: string; digest: string; 'virtual-size': number }[] = [];
    for (const path of operands) {
      const progress = values.progress ? progressLine(io) : undefined;
      try {
        const ended = await interruptible(io, 'nothing was changed', async (signal) => {
          const image = namedImage(path, values);
          const { node } = await openImage(image.source, {
            ...image.open,
            snapshot: values.snapshot,
            share: values['force-share'],
            gate: values.follow ? allowAll : undefined,
          });
          try {
            const digest = await checksumImage(node, algorithm, { signal, onProgress: progress?.show });
            found.push({ filename: path, algorithm, digest, 'virtual-size': node.virtualSize });
            progress?.end();
            if (!wantsJson(values)) io.out(`${digest}  ${path}\n`);
          } finally {
            await node.close();
          }
          return 0;
        });
        if (ended !== 0) return ended;
      } catch (error) {
        progress?.end();
        code = failed(io, error, path);
      }
    }
    if (wantsJson(values)) io.out(`${JSON.stringify(found, undefined, 4)}\n`);
    return code;
  },
});

/** `platter check`: is an image sound? And, when asked, its repair. */
import type { CheckResult } from '#contract/images.ts';
import { checkImage } from '#engine/block/check.ts';
import { openImage } from '#engine/block/graph.ts';
import { repairImage } from '#engine/block/jobs/repair.ts';
import { PlatterError } from '#engine/errors.ts';
import { IMAGE_OPTS_OPTION, namedImage } from '../image-opts/named-image.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import { checkObject, checkText, repairText, type Fixed } from '../qemu-img/check-text.ts';
import { qemuJson } from '../qemu-img/order.ts';
import { FORMAT_OPTION, OUTPUT_OPTIONS, SHARE_OPTION, wantsJson } from './shared.ts';

/** The format has no tables, or none that anybody knows how to mend. */
const NOTHING_TO_DO = ['block.no-check', 'block.no-repair'];
const NOTHING: Fixed = { corruptions: 0, leaks: 0 };

export const check = defineCommand({
  name: 'check',
  operands: 'IMAGE',
  count: { least: 1, most: 1 },
  help:
    'Follows every table of an image and says whether what points where agrees with the stored reference counts. Nothing is changed ' +
    'unless --repair is given: it puts the counts and flags of a qcow2 image right, clears what leads out of a QED or Parallels image, and ' +
    'replays the log of a VHDX.',
  options: {
    ...FORMAT_OPTION,
    ...IMAGE_OPTS_OPTION,
    ...OUTPUT_OPTIONS,
    repair: {
      kind: 'text',
      short: 'r',
      value: 'WHAT',
      choices: ['leaks', 'all'],
      help: 'leaks: give back what nothing uses; all: mend everything that can be mended. Writes to the image',
    },
    quiet: { kind: 'flag', short: 'q', help: 'say nothing: the exit code tells' },
    ...SHARE_OPTION,
  },
  examples: [
    { line: 'platter check disk.qcow2', says: 'whether it is sound, and how much of it is allocated' },
    { line: 'platter check -r leaks disk.qcow2', says: 'gives leaked clusters back' },
  ],
  exitCodes: [
    { code: 0, means: 'it is sound' },
    { code: 1, means: 'the check could not be done' },
    { code: 2, means: 'it is damaged' },
    { code: 3, means: 'clusters are leaked; the data is sound' },
    { code: 63, means: 'there is nothing to check, or no way to repair, in this format' },
  ],
  async run({ values, operands: [path], io }) {
    try {
      const repair = values.repair === 'leaks' || values.repair === 'all' ? values.repair : undefined;
      const image = namedImage(path, values);
      const { node } = await openImage(image.source, {
        ...image.open,
        share: values['force-share'],
        backing: 'skip',
        dataFile: 'skip',
        readOnly: repair === undefined,
        repair: repair !== undefined,
      });
      try {
        let found: CheckResult;
        let fixed = NOTHING;
        if (repair === undefined) found = await checkImage(node);
        else {
          const repaired = await repairImage(node, repair);
          found = repaired.after;
          fixed = repaired.fixed;
          for (const line of repaired.log) io.err(`${line}\n`);
        }
        for (const message of found.messages) if (!values.quiet) io.err(`${message}\n`);
        if (wantsJson(values)) io.out(`${qemuJson(checkObject(found, node.driver, path, fixed))}\n`);
        else if (!values.quiet) io.out(repairText(fixed) + checkText(found));
        return exitCode(found);
      } finally {
        await node.close();
      }
    } catch (error) {
      failed(io, error, path);
      return error instanceof PlatterError && NOTHING_TO_DO.includes(error.code) ? 63 : 1;
    }
  },
});

function exitCode(found: CheckResult): number {
  if (found.checkErrors > 0) return 1;
  if (found.corruptions > 0) return 2;
  return found.leaks > 0 ? 3 : 0;
}

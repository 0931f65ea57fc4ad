/** `platter snapshot`: internal snapshots of a qcow2 image. */
import { openImage } from '#engine/block/graph.ts';
import { applySnapshot, createSnapshot, deleteSnapshot } from '#engine/block/jobs/snapshot.ts';
import { IMAGE_OPTS_OPTION, namedImage } from '../image-opts/named-image.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import { UsageError } from '../frame/usage-error.ts';
import { infoObject } from '../qemu-img/info-json.ts';
import { snapshotText } from '../qemu-img/info-text.ts';
import { FORMAT_OPTION, SHARE_OPTION } from './shared.ts';

export const snapshot = defineCommand({
  name: 'snapshot',
  operands: 'IMAGE',
  count: { least: 1, most: 1 },
  help:
    'Lists, creates, applies or deletes the snapshots that a qcow2 image holds. Applying one makes the disk what it was: what it is now is ' +
    'lost unless another snapshot keeps it.',
  options: {
    ...FORMAT_OPTION,
    ...IMAGE_OPTS_OPTION,
    list: { kind: 'flag', short: 'l', help: 'list them (the default)' },
    create: { kind: 'text', short: 'c', value: 'NAME', help: 'keep the disk as it is now' },
    apply: { kind: 'text', short: 'a', value: 'NAME', help: 'make the disk what it was' },
    delete: { kind: 'text', short: 'd', value: 'NAME', help: 'forget a snapshot' },
    quiet: { kind: 'flag', short: 'q', help: 'accepted for scripts: nothing is said anyway' },
    ...SHARE_OPTION,
  },
  examples: [
    { line: 'platter snapshot -c before-upgrade disk.qcow2', says: 'keeps the disk as it is' },
    { line: 'platter snapshot -l disk.qcow2', says: 'what there is' },
  ],
  exitCodes: [
    { code: 0, means: 'done' },
    { code: 1, means: 'it failed; the disk is as it was' },
  ],
  async run({ values, operands: [path], io }) {
    const { create, apply, delete: remove } = values;
    const actions = [create, apply, remove].filter((name) => name !== undefined).length;
    if (actions > 1 || (actions === 1 && values.list))
      throw new UsageError('give one of --list, --create, --apply and --delete');
    try {
      const image = namedImage(path, values);
      const { node, info } = await openImage(image.source, {
        ...image.open,
        share: values['force-share'],
        backing: 'skip',
        dataFile: 'skip',
        readOnly: actions === 0,
      });
      try {
        if (create !== undefined) await createSnapshot(node, create);
        else if (apply !== undefined) await applySnapshot(node, apply);
        else if (remove !== undefined) await deleteSnapshot(node, remove);
        else io.out(snapshotText(infoObject(info, path)));
      } finally {
        await node.close();
      }
      return 0;
    } catch (error) {
      return failed(io, error, path);
    }
  },
});

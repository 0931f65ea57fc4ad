/** Jobs that change an image in place. Each leaves the old state or the new one. */
import type { BitmapAction } from '#engine/block/jobs/bitmap.ts';
import type { JobOf, JobResult } from '#contract/jobs.ts';
import type { JobSecrets } from '#contract/secrets.ts';
import { checkImage } from '#engine/block/check.ts';
import { amendImage, type AmendOptions } from '#engine/block/jobs/amend.ts';
import { changeBitmap } from '#engine/block/jobs/bitmap.ts';
import { repairImage } from '#engine/block/jobs/repair.ts';
import { resizeImage } from '#engine/block/jobs/resize.ts';
import { applySnapshot, createSnapshot, deleteSnapshot } from '#engine/block/jobs/snapshot.ts';
import { withImage, type Runner } from './tools.ts';

const DONE: JobResult = { kind: 'done' };

export const runResize: Runner<'resize'> = (request, tools) =>
  withImage(tools, request.image, { readOnly: false, backing: 'tolerate' }, async (node) => {
    const before = node.virtualSize;
    await resizeImage(node, request.size, { shrink: request.shrink });
    return { kind: 'size', before, after: Math.ceil(request.size / 512) * 512 };
  });

export const runCheck: Runner<'check'> = (request, tools) => {
  const { repair } = request;
  const options = { readOnly: repair === 'none', repair: repair !== 'none', backing: 'skip' } as const;
  return withImage(tools, request.image, options, async (node): Promise<JobResult> => {
    if (repair === 'none') return { kind: 'check', counts: await checkImage(node) };
    const { after, fixed } = await repairImage(node, repair);
    return { kind: 'check', counts: after, fixed };
  });
};

export const runAmend: Runner<'amend'> = (request, tools) =>
  withImage(tools, request.image, { readOnly: false, backing: 'skip' }, async (node) => {
    const { options, keys } = request;
    const prefix = node.driver === 'luks' ? '' : 'encrypt.';
    const change = keys === undefined ? {} : keyOptions(keys, tools.secrets, prefix);
    const passphrase = await tools.secret?.(node.name, tools.path(request.image));
    await amendImage(node, { ...options, ...change }, { passphrase, force: keys?.force });
    return DONE;
  });

/** As `qemu-img amend -o` names them. */
function keyOptions(
  { state, slot }: NonNullable<JobOf<'amend'>['keys']>,
  { added, erased }: JobSecrets,
  prefix: string,
): AmendOptions {
  const given = { state, keyslot: slot, 'new-secret': added, 'old-secret': erased };
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [[prefix + name, value]])),
  );
}

export const runSnapshot: Runner<'snapshot'> = (request, tools) =>
  withImage(tools, request.image, { readOnly: false, backing: 'skip' }, async (node) => {
    const work = { create: createSnapshot, apply: applySnapshot, delete: deleteSnapshot }[request.action];
    await work(node, request.name);
    return DONE;
  });

export const runBitmap: Runner<'bitmap'> = (request, tools) =>
  withImage(tools, request.image, { readOnly: false, backing: 'skip' }, async (node) => {
    const change = (action: BitmapAction) => changeBitmap(node, request.name, [action]);
    if (request.action === 'merge' && request.source !== undefined) {
      await withImage(tools, request.source, { backing: 'skip' }, (source) =>
        change({ kind: 'merge', from: request.from ?? '', source }),
      );
    } else await change(bitmapAction(request));
    return DONE;
  });

function bitmapAction({ action, from, granularity }: JobOf<'bitmap'>): BitmapAction {
  if (action === 'merge') return { kind: 'merge', from: from ?? '' };
  return action === 'add' ? { kind: 'add', granularity } : { kind: action };
}

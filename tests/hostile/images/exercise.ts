/** Everything that is done with an image that nobody trusts: it ends in answers or in a PlatterError, soon, and in little memory. */
import type { FormatNode } from '#engine/block/access.ts';
import { checkImage } from '#engine/block/check.ts';
import { openImage } from '#engine/block/graph.ts';
import { changeBitmap } from '#engine/block/jobs/bitmap.ts';
import { repairImage } from '#engine/block/jobs/repair.ts';
import { resizeImage } from '#engine/block/jobs/resize.ts';
import { applySnapshot, createSnapshot, deleteSnapshot } from '#engine/block/jobs/snapshot.ts';
import { mapPage } from '#engine/block/map.ts';
import { MemoryStorage } from '#engine/block/storage/memory.ts';
import { PlatterError } from '#engine/errors.ts';

/** What it came to, for the statistics of a run. */
export type Outcome = 'refused' | 'opened' | 'failed later';

/** Throws anything that is no PlatterError: that is a finding. */
export async function exercise(bytes: Uint8Array, format: string, write: boolean): Promise<Outcome> {
  const storage = new MemoryStorage(bytes, { name: 'hostile', limit: 64 << 20 });
  let image;
  try {
    image = await openImage(storage, { format, readOnly: !write, backing: 'tolerate' });
  } catch (error) {
    if (error instanceof PlatterError) return 'refused';
    throw error;
  }
  const { node } = image;
  let outcome: Outcome = 'opened';
  const attempt = async (action: () => unknown): Promise<void> => {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof PlatterError)) throw error;
      outcome = 'failed later';
    }
  };
  const size = node.virtualSize;
  const places = [0, 512, 70_000, size >> 1, size - 512, size - 70_000].filter(
    (at) => at >= 0 && at + 512 <= size,
  );
  for (const at of places) {
    const start = at - (at % 512);
    await attempt(() => node.read(start, new Uint8Array(Math.min(66_000, size - start))));
    if (!write) continue;
    await attempt(() => node.write(start, new Uint8Array(Math.min(3000, size - start)).fill(0x5a)));
    await attempt(() => node.writeZeroes(start, Math.min(200_000, size - start), at % 1024 === 0));
    await attempt(() => node.discard(start, Math.min(200_000, size - start)));
  }
  if (write) await attempt(() => node.flush());
  if (write) await doJobs(node, attempt);
  await attempt(() => mapPage(node, { limit: 50 }));
  if (node.format.check !== undefined) await attempt(() => checkImage(node));
  await attempt(() => node.close());
  return outcome;
}

type Attempt = (action: () => unknown) => Promise<void>;

/** What changes tables on a large scale. */
async function doJobs(node: FormatNode, attempt: Attempt): Promise<void> {
  if (node.driver === 'qcow2') {
    await attempt(() => createSnapshot(node, 'made of damage'));
    await attempt(() => applySnapshot(node, '1'));
    await attempt(() => deleteSnapshot(node, 'made of damage'));
    await attempt(() => changeBitmap(node, 'b', [{ kind: 'add' }]));
  }
  await attempt(() => resizeImage(node, Math.min(node.virtualSize + 123_456, 1 << 30), { shrink: true }));
  await attempt(() => resizeImage(node, 60_000, { shrink: true }));
}

/** Repairs the image, checks that it then finds itself sound, or says why it cannot be. */
export async function repairIt(bytes: Uint8Array, format: string): Promise<Outcome> {
  const storage = new MemoryStorage(bytes, { name: 'hostile', limit: 64 << 20 });
  try {
    const { node } = await openImage(storage, { format, readOnly: false, repair: true, backing: 'tolerate' });
    try {
      const { after } = await repairImage(node, 'all');
      return after.corruptions + after.checkErrors + after.leaks === 0 ? 'opened' : 'failed later';
    } finally {
      await node.close();
    }
  } catch (error) {
    if (error instanceof PlatterError) return 'refused';
    throw error;
  }
}

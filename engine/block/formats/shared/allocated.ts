/** What a VMDK of several files occupies (QEMU: bdrv_sum_allocated_file_size; of a qcow2 with a data file it counts the one alone). */
import { wait, type Steps } from '../../../maybe.ts';
import type { Storage } from '../../storage/storage.ts';

/** Bytes; undefined where one of them cannot tell. */
export function* allocatedTogether(storages: readonly Storage[]): Steps<number | undefined> {
  let total = 0;
  for (const storage of storages) {
    const bytes = yield* wait(storage.allocatedSize());
    if (bytes === undefined) return undefined;
    total += bytes;
  }
  return total;
}

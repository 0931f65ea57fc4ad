/** An empty Parallels image with the newer magic, as `qemu-img create -f parallels` makes it. */
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { CreateOptions } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { alignUp } from '../shared/check-fields.ts';
import { byteSize, diskSize, knownOptions } from '../shared/options.ts';
import { MAGIC_CLUSTERS, parallelsHeader } from './header.ts';

const DEFAULT_CLUSTER = 1 << 20;
/** What this reader accepts as `tracks`, bytes. */
const MAX_CLUSTER = Math.floor(0x7fffffff / 513) * 512;

/** Options: `size`, `cluster_size`. */
export function createParallels(storage: Storage, options: CreateOptions): Maybe<void> {
  knownOptions('parallels', options, ['cluster_size']);
  const good = (value: number): boolean => value > 0 && value <= MAX_CLUSTER;
  const cluster = alignUp(
    byteSize(options, 'cluster_size', DEFAULT_CLUSTER, good, `1 to ${MAX_CLUSTER}`),
    512,
  );
  // A table of 2 GiB, QEMU's bound when it opens the image.
  return run(steps(storage, diskSize(options, 0x1fffffff * cluster), cluster));
}

function* steps(storage: Storage, size: number, cluster: number): Steps<void> {
  const entries = Math.ceil(size / cluster);
  const data = alignUp(parallelsHeader.size + entries * 4, cluster);
  yield* wait(storage.truncate(data));
  const header = parallelsHeader.encode({
    magic: MAGIC_CLUSTERS,
    version: 2,
    heads: 16,
    cylinders: Math.floor(size / 512 / 16 / 32),
    tracks: cluster / 512,
    bat_entries: entries,
    nb_sectors: size / 512,
    inuse: 0,
    data_off: data / 512,
    flags: 0,
    ext_off: 0,
  });
  yield* wait(storage.write(0, header));
}

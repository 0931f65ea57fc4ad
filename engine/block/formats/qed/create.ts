/** An empty QED, as `qemu-img create -f qed` makes it: one header cluster and an empty L1 table. */
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { CreateOptions } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { isPowerOfTwo } from '../shared/check-fields.ts';
import { badOption, byteSize, diskSize, knownOptions } from '../shared/options.ts';
import {
  BACKING_FILE,
  BACKING_RAW,
  MAX_CLUSTER,
  MAX_TABLE,
  MIN_CLUSTER,
  QED_MAGIC,
  qedHeader,
  tableEntries,
} from './header.ts';

const MAX_NAME = 1023;

/** Options: `size`, `cluster_size`, `table_size` (clusters), `backing_file`, `backing_fmt`. */
export function createQed(storage: Storage, options: CreateOptions): Maybe<void> {
  knownOptions('qed', options, ['cluster_size', 'table_size', 'backing_file', 'backing_fmt']);
  const goodCluster = (value: number): boolean =>
    isPowerOfTwo(value) && value >= MIN_CLUSTER && value <= MAX_CLUSTER;
  const cluster = byteSize(
    options,
    'cluster_size',
    65536,
    goodCluster,
    'a power of two from 4096 to 67108864',
  );
  // QEMU takes 1, and then cannot open what it made.
  const goodTable = (value: number): boolean => isPowerOfTwo(value) && value >= 2 && value <= MAX_TABLE;
  const table = byteSize(options, 'table_size', 4, goodTable, 'a power of two from 2 to 16');
  const size = diskSize(options, tableEntries({ cluster_size: cluster, table_size: table }) ** 2 * cluster);
  const name = new TextEncoder().encode(String(options['backing_file'] ?? ''));
  if (name.length > MAX_NAME)
    throw badOption('backing_file', options['backing_file'], `at most ${MAX_NAME} bytes`);
  const raw = options['backing_fmt'] === 'raw' ? BACKING_RAW : 0n;
  const header = qedHeader.encode({
    magic: QED_MAGIC,
    cluster_size: cluster,
    table_size: table,
    header_size: 1,
    features: name.length === 0 ? 0n : BACKING_FILE | raw,
    compat_features: 0n,
    autoclear_features: 0n,
    l1_table_offset: cluster,
    image_size: size,
    backing_filename_offset: name.length === 0 ? 0 : qedHeader.size,
    backing_filename_size: name.length,
  });
  return run(steps(storage, header, name, cluster * (1 + table)));
}

function* steps(storage: Storage, header: Uint8Array, name: Uint8Array, length: number): Steps<void> {
  yield* wait(storage.truncate(length));
  if (name.length > 0) yield* wait(storage.write(qedHeader.size, name));
  yield* wait(storage.write(0, header));
}

/** The QED header (QEMU `docs/interop/qed_spec.txt`). Little-endian. */
import { wait, type Steps } from '../../../maybe.ts';
import type { HeaderField } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkFields, isPowerOfTwo } from '../shared/check-fields.ts';
import { layout, text, u32, u64, x64, type Values } from '../shared/layout.ts';
import { readExactly, requireInside } from '../shared/storage-window.ts';

export const QED_MAGIC = 'QED';
/** Feature bits that must be understood. */
export const BACKING_FILE = 1n;
export const NEED_CHECK = 2n;
export const BACKING_RAW = 4n;
const KNOWN_FEATURES = BACKING_FILE | NEED_CHECK | BACKING_RAW;
export const MIN_CLUSTER = 4096;
export const MAX_CLUSTER = 64 << 20;
export const MAX_TABLE = 16;
const MAX_NAME = 1023;

export const qedHeader = layout('little', {
  magic: text(4),
  cluster_size: u32,
  table_size: u32,
  header_size: u32,
  features: x64,
  compat_features: x64,
  autoclear_features: x64,
  l1_table_offset: u64,
  image_size: u64,
  backing_filename_offset: u32,
  backing_filename_size: u32,
});

export type QedHeader = Values<(typeof qedHeader)['fields']>;

export interface QedImage {
  header: QedHeader;
  backingFile?: string;
}

/** Entries of one table. */
export function tableEntries(header: Pick<QedHeader, 'cluster_size' | 'table_size'>): number {
  return (header.cluster_size * header.table_size) / 8;
}

/** Reads and checks the header. Throws `qed.bad-field`, `qed.unsupported`, `qed.truncated`. */
export function* readQedHeader(storage: Storage): Steps<QedImage> {
  const image = storage.name;
  const header = qedHeader.parse(yield* readExactly(storage, 0, qedHeader.size, 'qed', 'header'), image);
  const check = checkFields('qed', image, (field) => qedHeader.find(field));
  check.field('magic', header.magic, header.magic === QED_MAGIC, QED_MAGIC);
  const unknown = header.features & ~KNOWN_FEATURES;
  check.unsupported('features', unknown, unknown !== 0n, 'no bits but 0x7');
  const { cluster_size: cluster, table_size: table } = header;
  const goodCluster = isPowerOfTwo(cluster) && cluster >= MIN_CLUSTER && cluster <= MAX_CLUSTER;
  check.field('cluster_size', cluster, goodCluster, 'a power of two from 4096 to 67108864');
  check.field('table_size', table, isPowerOfTwo(table) && table <= MAX_TABLE, 'a power of two up to 16');
  const most = tableEntries(header) ** 2 * cluster;
  const goodSize = header.image_size % 512 === 0 && header.image_size <= most;
  check.field('image_size', header.image_size, goodSize, `whole sectors, at most ${most}`);
  const goodHeader = header.header_size >= 1 && header.header_size * cluster < 2 ** 32;
  check.field('header_size', header.header_size, goodHeader, 'at least 1 cluster, less than 4 GiB');
  const l1 = header.l1_table_offset;
  check.field(
    'l1_table_offset',
    l1,
    l1 % cluster === 0 && l1 >= cluster,
    'a multiple of the cluster size after the header',
  );
  const size = yield* wait(storage.size());
  requireInside(image, size, l1, table * cluster, 'qed', 'L1 table');
  if ((header.features & BACKING_FILE) === 0n) return { header };
  const { backing_filename_offset: at, backing_filename_size: length } = header;
  check.field('backing_filename_size', length, length > 0 && length <= MAX_NAME, `1 to ${MAX_NAME}`);
  const inside = at + length <= header.header_size * cluster;
  check.field('backing_filename_offset', at, inside, 'a name within the header clusters');
  const name = yield* readExactly(storage, at, length, 'qed', 'backing file name');
  return { header, backingFile: new TextDecoder().decode(name) };
}

export function describeQedHeader(header: QedHeader): HeaderField[] {
  return qedHeader.describe(header, 0);
}

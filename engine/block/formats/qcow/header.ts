/** The header of qcow version 1 (QEMU `block/qcow.c`). Big-endian. */
import { wait, type Steps } from '../../../maybe.ts';
import { PlatterError } from '../../../errors.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkFields } from '../shared/check-fields.ts';
import { layout, u16, u32, u64, u8, x32, type Values } from '../shared/layout.ts';
import { readExactly, requireInside } from '../shared/storage-window.ts';

export const QCOW_MAGIC = 0x514649fb;
const MAX_NAME = 1023;
/** QEMU's bound on the L1 table: its bytes must fit into an `int`. */
const MAX_L1 = 0x0fffffff;

export const qcowHeader = layout('big', {
  magic: x32,
  version: u32,
  backing_file_offset: u64,
  backing_file_size: u32,
  mtime: u32,
  size: u64,
  cluster_bits: u8,
  l2_bits: u8,
  padding: u16,
  crypt_method: u32,
  l1_table_offset: u64,
});

export type QcowHeader = Values<(typeof qcowHeader)['fields']>;

export interface QcowImage {
  header: QcowHeader;
  /** Bytes of the guest's disk, whole sectors. */
  virtualSize: number;
  l1Entries: number;
  backingFile?: string;
}

/** Throws `qcow.bad-field`, `qcow.unsupported`, `qcow.encrypted`, `qcow.truncated`. */
export function* readQcowHeader(storage: Storage): Steps<QcowImage> {
  const image = storage.name;
  const header = qcowHeader.parse(yield* readExactly(storage, 0, qcowHeader.size, 'qcow', 'header'), image);
  const check = checkFields('qcow', image, (field) => qcowHeader.find(field));
  check.field('magic', `0x${header.magic.toString(16)}`, header.magic === QCOW_MAGIC, '0x514649fb');
  check.unsupported('version', header.version, header.version !== 1, '1');
  check.field('size', header.size, header.size > 1, 'at least 2 bytes');
  check.field(
    'cluster_bits',
    header.cluster_bits,
    header.cluster_bits >= 9 && header.cluster_bits <= 16,
    '9 to 16',
  );
  check.field('l2_bits', header.l2_bits, header.l2_bits >= 6 && header.l2_bits <= 13, '6 to 13');
  if (header.crypt_method === 1) throw encrypted(image);
  check.field('crypt_method', header.crypt_method, header.crypt_method === 0, '0 or 1');
  const l1Entries = Math.ceil(header.size / 2 ** (header.cluster_bits + header.l2_bits));
  check.field('size', header.size, l1Entries <= MAX_L1, 'a disk whose L1 table fits into 2 GiB');
  const size = yield* wait(storage.size());
  requireInside(image, size, header.l1_table_offset, l1Entries * 8, 'qcow', 'L1 table');
  const parsed = { header, virtualSize: Math.floor(header.size / 512) * 512, l1Entries };
  if (header.backing_file_offset === 0) return parsed;
  const length = header.backing_file_size;
  check.field('backing_file_size', length, length > 0 && length <= MAX_NAME, `1 to ${MAX_NAME}`);
  const name = yield* readExactly(storage, header.backing_file_offset, length, 'qcow', 'backing file name');
  return { ...parsed, backingFile: new TextDecoder().decode(name) };
}

function encrypted(image: string): PlatterError {
  return new PlatterError(
    'qcow.encrypted',
    `"${image}" is encrypted with AES-CBC as qcow 1 does it, which is broken and not read`,
    {
      image,
      field: 'crypt_method',
      offset: qcowHeader.offsetOf('crypt_method'),
      value: 'AES',
      hint: 'Convert it with qemu-img, which still reads it, to qcow2 with LUKS.',
    },
  );
}

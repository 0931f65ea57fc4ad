/** The qcow2 header, versions 2 and 3: reading it, and holding every field against the specification's limits. */
import { StructReader } from '../../../bytes/reader.ts';
import { PlatterError } from '../../../errors.ts';
import {
  HEADER_V2_LENGTH,
  HEADER_V3_LENGTH,
  INCOMPATIBLE,
  MAGIC,
  MAX_BACKING_NAME,
  MAX_CLUSTER_BITS,
  MAX_L1_BYTES,
  MAX_REFCOUNT_TABLE_BYTES,
  MAX_SNAPSHOTS,
  MIN_CLUSTER_BITS,
  TABLE_ENTRY,
} from './constants.ts';
import { badField } from './errors.ts';

/** Fields as in the file; offsets and sizes in bytes. */
export interface Qcow2Header {
  version: number;
  backingFileOffset: number;
  backingFileSize: number;
  clusterBits: number;
  size: number;
  cryptMethod: number;
  /** Entries. */
  l1Size: number;
  l1TableOffset: number;
  refcountTableOffset: number;
  refcountTableClusters: number;
  snapshotCount: number;
  snapshotsOffset: number;
  incompatible: bigint;
  compatible: bigint;
  autoclear: bigint;
  refcountOrder: number;
  headerLength: number;
  compressionType: number;
}

/**
 * Reads the header out of the file's first bytes (up to one cluster). Throws when a field cannot be; with `repair` there need be no
 * refcount table.
 */
export function parseHeader(head: Uint8Array, repair = false): Qcow2Header {
  const reader = new StructReader(head, { structure: 'qcow2 header' });
  if (reader.u32(0, 'magic') !== MAGIC) {
    throw new PlatterError('qcow2.not-qcow2', 'This is no qcow2 image: the magic "QFI\\xfb" is missing', {
      field: 'magic',
      offset: 0,
      option: 'format',
      expected: '514649fb',
    });
  }
  const version = reader.u32(4, 'version');
  if (version !== 2 && version !== 3) {
    throw new PlatterError('qcow2.unknown-version', `qcow2 version ${version} is not known`, {
      field: 'version',
      offset: 4,
      value: String(version),
      expected: '2 or 3',
    });
  }
  const clusterBits = reader.u32(20, 'cluster_bits');
  if (clusterBits < MIN_CLUSTER_BITS || clusterBits > MAX_CLUSTER_BITS) {
    throw badField('cluster_bits', 20, clusterBits, `${MIN_CLUSTER_BITS} to ${MAX_CLUSTER_BITS}`);
  }
  const header: Qcow2Header = {
    version,
    backingFileOffset: reader.u64(8, 'backing_file_offset'),
    backingFileSize: reader.u32(16, 'backing_file_size'),
    clusterBits,
    size: reader.u64(24, 'size'),
    cryptMethod: reader.u32(32, 'crypt_method'),
    l1Size: reader.u32(36, 'l1_size'),
    l1TableOffset: reader.u64(40, 'l1_table_offset'),
    refcountTableOffset: reader.u64(48, 'refcount_table_offset'),
    refcountTableClusters: reader.u32(56, 'refcount_table_clusters'),
    snapshotCount: reader.u32(60, 'nb_snapshots'),
    snapshotsOffset: reader.u64(64, 'snapshots_offset'),
    incompatible: 0n,
    compatible: 0n,
    autoclear: 0n,
    refcountOrder: 4,
    headerLength: HEADER_V2_LENGTH,
    compressionType: 0,
  };
  if (version === 3) readV3(reader, header);
  checkHeader(header, repair);
  return header;
}

function readV3(reader: StructReader, header: Qcow2Header): void {
  header.incompatible = reader.u64raw(72, 'incompatible_features');
  header.compatible = reader.u64raw(80, 'compatible_features');
  header.autoclear = reader.u64raw(88, 'autoclear_features');
  header.refcountOrder = reader.u32(96, 'refcount_order');
  header.headerLength = reader.u32(100, 'header_length');
  const clusterSize = 2 ** header.clusterBits;
  if (header.headerLength < HEADER_V3_LENGTH || header.headerLength > clusterSize) {
    throw badField('header_length', 100, header.headerLength, `${HEADER_V3_LENGTH} to ${clusterSize}`);
  }
  if (header.headerLength > HEADER_V3_LENGTH) header.compressionType = reader.u8(104, 'compression_type');
}

/** The checks that need no other part of the file (QEMU: qcow2_do_open). */
function checkHeader(header: Qcow2Header, repair: boolean): void {
  const clusterSize = 2 ** header.clusterBits;
  const aligned = (field: string, at: number, value: number): void => {
    if (value % clusterSize !== 0)
      throw badField(field, at, value, `a multiple of the cluster size ${clusterSize}`);
  };
  if (header.refcountOrder > 6) throw badField('refcount_order', 96, header.refcountOrder, '0 to 6');
  if (header.backingFileOffset !== 0) {
    if (header.backingFileOffset > clusterSize) {
      throw badField('backing_file_offset', 8, header.backingFileOffset, 'within the first cluster');
    }
    const room = Math.min(MAX_BACKING_NAME, clusterSize - header.backingFileOffset);
    if (header.backingFileSize > room) {
      throw badField('backing_file_size', 16, header.backingFileSize, `at most ${room}`);
    }
  }
  const l1Needed = Math.ceil(header.size / guestBytesPerL2(header));
  if (l1Needed * TABLE_ENTRY > MAX_L1_BYTES) {
    throw badField(
      'size',
      24,
      header.size,
      `at most ${(MAX_L1_BYTES / TABLE_ENTRY) * guestBytesPerL2(header)}`,
    );
  }
  if (header.l1Size * TABLE_ENTRY > MAX_L1_BYTES) {
    throw badField('l1_size', 36, header.l1Size, `at most ${MAX_L1_BYTES / TABLE_ENTRY}`);
  }
  if (header.l1Size < l1Needed)
    throw badField('l1_size', 36, header.l1Size, `at least ${l1Needed} for this size`);
  aligned('l1_table_offset', 40, header.l1TableOffset);
  aligned('refcount_table_offset', 48, header.refcountTableOffset);
  const refcountTableLimit = MAX_REFCOUNT_TABLE_BYTES / clusterSize;
  if ((header.refcountTableClusters === 0 && !repair) || header.refcountTableClusters > refcountTableLimit) {
    throw badField('refcount_table_clusters', 56, header.refcountTableClusters, `1 to ${refcountTableLimit}`);
  }
  if (header.snapshotCount > MAX_SNAPSHOTS) {
    throw badField('nb_snapshots', 60, header.snapshotCount, `at most ${MAX_SNAPSHOTS}`);
  }
  if (header.snapshotCount > 0) aligned('snapshots_offset', 64, header.snapshotsOffset);
  if (hasExtendedL2(header) && header.clusterBits < 14) {
    throw badField('cluster_bits', 20, header.clusterBits, 'at least 14 with extended L2 entries');
  }
  checkCompressionType(header);
}

function checkCompressionType(header: Qcow2Header): void {
  const flagged = (header.incompatible & INCOMPATIBLE.compressionType) !== 0n;
  if (header.compressionType > 1) {
    throw badField('compression_type', 104, header.compressionType, '0 (zlib) or 1 (zstd)');
  }
  if (flagged !== (header.compressionType !== 0)) {
    throw badField(
      'compression_type',
      104,
      header.compressionType,
      flagged ? 'other than zlib, since its feature bit is set' : 'zlib, since its feature bit is not set',
    );
  }
}

export function hasExtendedL2(header: Qcow2Header): boolean {
  return (header.incompatible & INCOMPATIBLE.extendedL2) !== 0n;
}

export function hasDataFile(header: Qcow2Header): boolean {
  return (header.incompatible & INCOMPATIBLE.dataFile) !== 0n;
}

/** Bytes of the guest's disk that one L2 table maps. */
export function guestBytesPerL2(header: Qcow2Header): number {
  const clusterSize = 2 ** header.clusterBits;
  return (clusterSize / (hasExtendedL2(header) ? 16 : 8)) * clusterSize;
}

/** Numbers of the qcow2 specification (QEMU, docs/interop/qcow2.txt). */

/** `QFI\xfb`. */
export const MAGIC = 0x5146_49fb;
export const HEADER_V2_LENGTH = 72;
export const HEADER_V3_LENGTH = 104;
export const MIN_CLUSTER_BITS = 9;
export const MAX_CLUSTER_BITS = 21;
/** The longest name of a backing file, bytes. */
export const MAX_BACKING_NAME = 1023;
/** QEMU's QCOW_MAX_L1_SIZE, QCOW_MAX_REFTABLE_SIZE, bytes. */
export const MAX_L1_BYTES = 32 << 20;
export const MAX_REFCOUNT_TABLE_BYTES = 8 << 20;
/** QEMU's QCOW_MAX_SNAPSHOTS and QCOW_MAX_SNAPSHOTS_SIZE. */
export const MAX_SNAPSHOTS = 65536;
export const MAX_SNAPSHOT_TABLE_BYTES = 64 << 20;
/** Length of one L1 or refcount table entry, bytes. */
export const TABLE_ENTRY = 8;
/** Subclusters of one cluster with extended L2 entries. */
export const SUBCLUSTERS = 32;

/** Upper halves of the flags in an L1 or L2 entry, and the lower half of the zero flag. */
export const COPIED_HIGH = 0x8000_0000;
export const COMPRESSED_HIGH = 0x4000_0000;
export const ZERO_LOW = 1;
/** Bits 9 to 55: the host offset, as halves. */
export const OFFSET_HIGH = 0x00ff_ffff;
export const OFFSET_LOW = 0xffff_fe00;

/** Incompatible features (header, bytes 72-79). */
export const INCOMPATIBLE = {
  dirty: 1n << 0n,
  corrupt: 1n << 1n,
  dataFile: 1n << 2n,
  compressionType: 1n << 3n,
  extendedL2: 1n << 4n,
} as const;
export const KNOWN_INCOMPATIBLE =
  INCOMPATIBLE.dirty |
  INCOMPATIBLE.corrupt |
  INCOMPATIBLE.dataFile |
  INCOMPATIBLE.compressionType |
  INCOMPATIBLE.extendedL2;
/** Compatible features (bytes 80-87). */
export const LAZY_REFCOUNTS = 1n << 0n;
/** Autoclear features (bytes 88-95). */
export const AUTOCLEAR = { bitmaps: 1n << 0n, dataFileRaw: 1n << 1n } as const;

/** Types of header extensions. */
export const EXTENSION = {
  end: 0,
  backingFormat: 0xe279_2aca,
  featureNames: 0x6803_f857,
  bitmaps: 0x2385_2875,
  cryptoHeader: 0x0537_be77,
  dataFile: 0x4441_5441,
} as const;

/** `crypt_method` of LUKS; its header lies where the full disk encryption header extension says. */
export const CRYPT_LUKS = 2;
export const CRYPT_NAMES: readonly string[] = ['none', 'AES', 'LUKS'];
export const COMPRESSION_NAMES: readonly string[] = ['zlib', 'zstd'];

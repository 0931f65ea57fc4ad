/** What one open may cost. Everything that an image claims is held against these before anything is allocated. */
export interface Limits {
  /** Bytes of the cache for mapping tables (QEMU's `l2-cache-size`; its default on Linux). */
  mappingCacheBytes: number;
  /** Bytes of the cache for reference counts (QEMU's `refcount-cache-size`). */
  refcountCacheBytes: number;
  /** Most bytes of a table that has to be in memory as a whole (QEMU's QCOW_MAX_L1_SIZE). */
  tableBytes: number;
  /** Images in a backing chain. */
  chainDepth: number;
}

export const DEFAULT_LIMITS: Limits = {
  mappingCacheBytes: 32 << 20,
  refcountCacheBytes: 4 << 20,
  tableBytes: 32 << 20,
  chainDepth: 200,
};

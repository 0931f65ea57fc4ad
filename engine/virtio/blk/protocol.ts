/** The block device's requests (virtio 1.2, section 5.2.6). */

export const BLK_T = {
  in: 0,
  out: 1,
  flush: 4,
  getId: 8,
  getLifetime: 10,
  discard: 11,
  writeZeroes: 13,
  secureErase: 14,
} as const;

export const BLK_S = { ok: 0, ioerr: 1, unsupp: 2 } as const;

/** Bytes of the header: type (4), reserved (4), sector (8). */
export const HEADER_SIZE = 16;
export const ID_BYTES = 20;
export const SECTOR = 512;
/** Bytes of a segment of discard, write zeroes and secure erase: sector (8), num_sectors (4), flags (4). */
export const SEGMENT_SIZE = 16;
export const SEGMENT_UNMAP = 1;

/** `VIRTIO_BLK_T_BARRIER` of old drivers; QEMU ignores it (hw/block/virtio-blk.c). */
export const TYPE_BARRIER = 0x8000_0000;

/** virtio over MMIO (virtio 1.2, section 4.2.2 and, for version 1, 4.2.4): offsets of the registers and fixed values. */

export const MMIO = {
  magic: 0x000,
  version: 0x004,
  deviceId: 0x008,
  vendorId: 0x00c,
  deviceFeatures: 0x010,
  deviceFeaturesSelect: 0x014,
  driverFeatures: 0x020,
  driverFeaturesSelect: 0x024,
  /** Version 1 only. */
  guestPageSize: 0x028,
  queueSelect: 0x030,
  queueSizeMax: 0x034,
  queueSize: 0x038,
  /** Version 1 only. */
  queueAlign: 0x03c,
  /** Version 1 only. */
  queuePage: 0x040,
  queueReady: 0x044,
  queueNotify: 0x050,
  interruptStatus: 0x060,
  interruptAck: 0x064,
  status: 0x070,
  queueDesc: 0x080,
  queueDriver: 0x090,
  queueDevice: 0x0a0,
  sharedMemoryLength: 0x0b0,
  /** Section 4.2.2 of virtio 1.2; QEMU 7.2 offers RING_RESET and has no such register. */
  queueReset: 0x0c0,
  configGeneration: 0x0fc,
  config: 0x100,
} as const;

/** "virt", little-endian. */
export const MMIO_MAGIC = 0x7472_6976;
/** "QEMU", little-endian: QEMU's vendor id of this transport. */
export const MMIO_VENDOR = 0x554d_4551;
/** Bytes of the register window (hw/virtio/virtio-mmio.c). */
export const MMIO_SIZE = 0x200;
/** What QEMU offers as the largest queue, whatever the device's own default is (`VIRTQUEUE_MAX_SIZE`). */
export const MMIO_QUEUE_MAX = 1024;

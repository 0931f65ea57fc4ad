/** Bits and numbers of ATA (ATA/ATAPI-7 volume 1, section 7) as the drives and the drivers share them. */

/** Bytes of a sector: QEMU's IDE disks have no other. */
export const SECTOR = 512;

export const STATUS = {
  err: 0x01,
  drq: 0x08,
  /** Seek complete. */
  dsc: 0x10,
  /** Device fault. */
  df: 0x20,
  drdy: 0x40,
  bsy: 0x80,
} as const;

export const ERROR = {
  /** Command aborted. */
  abrt: 0x04,
  /** Media changed (packet devices). */
  mc: 0x20,
} as const;

/** The device register. */
export const DEVICE = {
  second: 0x10,
  lba: 0x40,
  /** Bits that always read as ones. */
  obsolete: 0xa0,
  head: 0x0f,
} as const;

/** The device control register. */
export const CONTROL = { nien: 0x02, srst: 0x04, hob: 0x80 } as const;

/** Interrupt reason, in the sector count register of packet devices. */
export const REASON = { command: 1, toHost: 2, mask: 7 } as const;

export const CMD = {
  dataSetManagement: 0x06,
  deviceReset: 0x08,
  recalibrate: 0x10,
  read: 0x20,
  readOnce: 0x21,
  readExt: 0x24,
  readDmaExt: 0x25,
  readNativeMaxExt: 0x27,
  readMultipleExt: 0x29,
  write: 0x30,
  writeOnce: 0x31,
  writeExt: 0x34,
  writeDmaExt: 0x35,
  writeMultipleExt: 0x39,
  writeVerify: 0x3c,
  verify: 0x40,
  verifyOnce: 0x41,
  verifyExt: 0x42,
  readFpdmaQueued: 0x60,
  writeFpdmaQueued: 0x61,
  ncqNonData: 0x63,
  sendFpdmaQueued: 0x64,
  receiveFpdmaQueued: 0x65,
  seek: 0x70,
  diagnose: 0x90,
  initializeParameters: 0x91,
  standbyNow2: 0x94,
  idleNow2: 0x95,
  standby2: 0x96,
  idle2: 0x97,
  checkPower2: 0x98,
  sleep2: 0x99,
  packet: 0xa0,
  identifyPacket: 0xa1,
  smart: 0xb0,
  readMultiple: 0xc4,
  writeMultiple: 0xc5,
  setMultiple: 0xc6,
  readDma: 0xc8,
  readDmaOnce: 0xc9,
  writeDma: 0xca,
  writeDmaOnce: 0xcb,
  standbyNow: 0xe0,
  idleNow: 0xe1,
  standby: 0xe2,
  idle: 0xe3,
  checkPower: 0xe5,
  sleep: 0xe6,
  flushCache: 0xe7,
  flushCacheExt: 0xea,
  identify: 0xec,
  setFeatures: 0xef,
  securityFreeze: 0xf5,
  readNativeMax: 0xf8,
} as const;

/** Kinds of DMA transfer, as the trace numbers them. */
export const DMA = { read: 0, write: 1, trim: 2, packet: 3 } as const;
export type DmaKind = (typeof DMA)[keyof typeof DMA];

/** Registers, bits and structures of AHCI (Serial ATA AHCI 1.3.1), for the controller and for its drivers. */

/** Section 3.1: the controller's registers, bytes. */
export const HBA = { cap: 0x00, ghc: 0x04, is: 0x08, pi: 0x0c, vs: 0x10 } as const;
/** The last register of the controller ends here; ports begin at `PORTS_AT` and take `PORT_BYTES` each. */
export const HBA_END = 0x2c;
export const PORTS_AT = 0x100;
export const PORT_BYTES = 0x80;

export const GHC = { reset: 1, interrupts: 2, ahci: 0x8000_0000 } as const;
/** Capabilities: number of slots less one from bit 8, AHCI only, command queueing, addresses of 64 bits. */
export const CAP = { slots: 8, speed: 20, ahciOnly: 1 << 18, ncq: 1 << 30, wide: 0x8000_0000 } as const;

/** Section 3.3: the registers of one port, bytes. */
export const PORT = {
  clb: 0x00,
  clbu: 0x04,
  fb: 0x08,
  fbu: 0x0c,
  is: 0x10,
  ie: 0x14,
  cmd: 0x18,
  tfd: 0x20,
  sig: 0x24,
  ssts: 0x28,
  sctl: 0x2c,
  serr: 0x30,
  sact: 0x34,
  ci: 0x38,
} as const;

/** PxCMD. */
export const PXCMD = {
  start: 1,
  spinUp: 2,
  powerOn: 4,
  fisReceive: 0x10,
  fisRunning: 0x4000,
  listRunning: 0x8000,
  atapi: 1 << 24,
  /** Bits that software cannot write, and those of the power state, which read as 0. */
  readOnly: 0x007d_ffe0,
  powerState: 0xf000_0000,
} as const;

/** Bits of PxIS and PxIE by their numbers. */
export const PXIS = {
  registerFis: 0,
  pioSetup: 1,
  deviceBits: 3,
  overflow: 24,
  hostBusFatal: 29,
  taskFileError: 30,
} as const;
export const PXIE_MASK = 0xfdc0_00ff;
/** PxSSTS of a port with a drive: present, first generation, active. */
export const DRIVE_PRESENT = 0x113;

/** Section 4.2.2: a command header of 32 bytes. */
export const HEADER = {
  bytes: 32,
  atapi: 1 << 5,
  write: 1 << 6,
  /** Clear busy upon R_OK: the FIS itself ends the command. */
  clearBusy: 1 << 10,
  prdtl: 2,
  moved: 4,
  table: 8,
} as const;
export const SLOTS = 32;
export const LIST_BYTES = SLOTS * HEADER.bytes;

/** Section 4.2.3: the command table. */
export const TABLE = { packet: 0x40, prdt: 0x80, prdBytes: 16, prdSize: 0x3f_ffff } as const;
/** Section 4.2.1: the area of received FISes. */
export const RECEIVED = { bytes: 256, pioSetup: 0x20, register: 0x40, deviceBits: 0x58 } as const;

/** Serial ATA 3.2, section 10.5. */
export const FIS = { hostToDevice: 0x27, deviceToHost: 0x34, pioSetup: 0x5f, deviceBits: 0xa1 } as const;
/** The FIS writes the command register. */
export const FIS_COMMAND = 0x80;
export const FIS_BYTES = 20;

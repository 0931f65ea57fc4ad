/**
 * How many bytes a command will move and which way: what a host adapter must know before it hands the command on. The tables are
 * those of QEMU's `hw/scsi/scsi-bus.c` (scsi_req_xfer, scsi_cmd_xfer_mode) for disks and CD-ROMs, commands that no target of ours
 * knows included: an adapter looks at the data buffers before the target looks at the command.
 */
import type { Cdb } from './cdb.ts';
import { OPCODE } from './opcode.ts';

/** QEMU's `SCSIXferMode`. */
export const DIRECTION = { none: 0, fromDevice: 1, toDevice: 2 } as const;

/** Peripheral device type of a CD/DVD. */
const CDROM = 5;

type Rule =
  | 'none' // moves nothing
  | 'blocks' // TRANSFER LENGTH logical blocks
  | 'block' // one block, unless bit 0 of byte 1 says that there is none (WRITE SAME)
  | 'verify'
  | 'three' // three bytes of length at 6
  | 'two-at-3'
  | 'parameters-at-5';

const RULES = new Map<number, Rule>();
const rule = (what: Rule, ...codes: number[]): void => codes.forEach((code) => void RULES.set(code, what));
// REWIND, SET CAPACITY, WRITE FILEMARKS, SPACE, ERASE, SET LIMITS, PRE-FETCH, LOCK CACHE, WRITE LONG, … are here by their codes.
rule('none', 0x00, 0x01, 0x0b, 0x10, 0x11, 0x16, 0x17, 0x19, 0x1b, 0x1e, 0x2b, 0x33, 0x34, 0x35, 0x36);
rule('none', 0x3d, 0x3f, 0x53, 0x80, 0x82, 0x90, 0x91, 0x92, 0xa7, 0xbb);
rule('blocks', 0x08, 0x0a, 0x0f, 0x28, 0x2a, 0x2e, 0x88, 0x8a, 0x8e, 0xa8, 0xaa, 0xae);
rule('block', OPCODE.writeSame10, OPCODE.writeSame16);
rule('verify', OPCODE.verify10, OPCODE.verify12, OPCODE.verify16);
rule('three', 0x3b, 0x3c, 0x5d, 0xbe);
rule('two-at-3', OPCODE.inquiry, 0x1c, 0x1d);
rule('parameters-at-5', OPCODE.persistentReserveOut);

/** Commands whose data goes to the device; what is not here comes from it. */
const TO_DEVICE = new Uint8Array(256);
for (const code of [
  [0x04, 0x07, 0x0a, 0x15, 0x18, 0x1b, 0x1d, 0x24, 0x2a, 0x2e, 0x2f, 0x30, 0x31, 0x32, 0x38, 0x39, 0x3a],
  [0x3b, 0x3d, 0x3f, 0x40, 0x41, 0x42, 0x4c, 0x55, 0x5d, 0x5f, 0x8a, 0x8e, 0x8f, 0x93, 0xa4, 0xaa, 0xae],
  [0xaf, 0xb0, 0xb1, 0xb2, 0xb6, 0xbf],
  // Not in QEMU's table, which does not know the command: expected and new data of COMPARE AND WRITE.
  [OPCODE.compareAndWrite],
].flat()) {
  TO_DEVICE[code] = 1;
}

/** One of `DIRECTION` for a command that moves so many bytes. */
export function transferDirection({ opcode, bytes }: Cdb, count: number): number {
  if (count === 0) return DIRECTION.none;
  // ATA PASS-THROUGH says it itself: T_DIR.
  const out = opcode === 0x85 || opcode === 0xa1 ? (bytes[2] & 8) === 0 : TO_DEVICE[opcode] === 1;
  return out ? DIRECTION.toDevice : DIRECTION.fromDevice;
}

/** Bytes that a CDB asks to move. */
export function transferBytes(cdb: Cdb, blockSize: number, type = 0): number {
  const { opcode, bytes, transfer } = cdb;
  switch (RULES.get(opcode)) {
    case 'none':
      return 0;
    case 'blocks':
      return transfer * blockSize;
    case 'block':
      return (bytes[1] & 1) === 0 ? blockSize : 0;
    case 'verify':
      // BYTCHK 00b sends nothing; 01b sends every block; 1xb sends one.
      return (bytes[1] & 2) === 0 ? 0 : ((bytes[1] & 4) === 0 ? transfer : 1) * blockSize;
    case 'three':
      return bytes[6] * 65536 + bytes[7] * 256 + bytes[8];
    case 'two-at-3':
      return bytes[3] * 256 + bytes[4];
    case 'parameters-at-5':
      return bytes[5] * 0x100_0000 + bytes[6] * 65536 + bytes[7] * 256 + bytes[8];
    default:
      return special(cdb, blockSize, type === CDROM);
  }
}

/** MMC-6 section 6.7: the length of GET PERFORMANCE's answer. */
function performanceLength(bytes: Uint8Array): number {
  const descriptors = bytes[8] * 256 + bytes[9];
  switch (bytes[10]) {
    case 0:
      return ((bytes[1] & 3) === 0 ? 16 : 6) * descriptors + 8;
    case 1:
    case 4:
    case 5:
      return 8 * descriptors + 8;
    case 2:
      return 2048 * descriptors + 8;
    case 3:
      return 16 * descriptors + 8;
    default:
      return 8;
  }
}

/** SAT-3 section 12.2: ATA PASS-THROUGH; T_LENGTH says where the length stands, BYT_BLOK and T_TYPE what it counts. */
function passThroughLength(bytes: Uint8Array, blockSize: number, long: boolean): number {
  const unit = (bytes[2] & 4) === 0 ? 1 : (bytes[2] & 16) === 0 ? 512 : blockSize;
  const extend = long && (bytes[1] & 1) !== 0;
  const [features, count] = long ? [4, 6] : [3, 4];
  switch (bytes[2] & 3) {
    case 1:
      return unit * (bytes[features] + (extend ? bytes[features - 1] * 256 : 0));
    case 2:
      return unit * (bytes[count] + (extend ? bytes[count - 1] * 256 : 0));
    default:
      return 0;
  }
}

/** Codes that mean one thing to a disk and another to a CD-ROM, and those whose length stands nowhere. */
function special({ opcode, bytes, transfer }: Cdb, blockSize: number, cdrom: boolean): number {
  switch (opcode) {
    case OPCODE.readCapacity10:
      return 8;
    case 0x05:
      return 6; // READ BLOCK LIMITS
    case OPCODE.formatUnit:
      if ((bytes[1] & 16) === 0) return 0;
      return cdrom ? 12 : (bytes[1] & 32) === 0 ? 4 : 8;
    case 0xb6:
      return cdrom ? bytes[9] * 256 + bytes[10] : bytes[8] * 256 + bytes[9];
    case 0xa1:
      return cdrom ? 0 : passThroughLength(bytes, blockSize, false);
    case 0x85:
      return passThroughLength(bytes, blockSize, true);
    case 0xac:
      return cdrom ? performanceLength(bytes) : transfer;
    case OPCODE.mechanismStatus:
    case OPCODE.readDvdStructure:
    case 0xbf:
    case 0xa4:
    case OPCODE.maintenanceIn:
      return cdrom ? bytes[8] * 256 + bytes[9] : transfer;
    case OPCODE.compareAndWrite:
      return bytes[13] * 2 * blockSize;
    default:
      return transfer;
  }
}

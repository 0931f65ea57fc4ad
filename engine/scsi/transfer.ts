/** How many bytes a command will move and which way: what a host adapter must know before it hands the command on. */
import type { Cdb } from './cdb.ts';
import { OPCODE } from './opcode.ts';

export interface Transfer {
  direction: 'none' | 'from-device' | 'to-device';
  /** Bytes that the command asks to move, at most. */
  bytes: number;
}

const NO_DATA: ReadonlySet<number> = new Set([
  OPCODE.testUnitReady,
  OPCODE.startStopUnit,
  OPCODE.reserve6,
  OPCODE.release6,
  OPCODE.preventAllowMediumRemoval,
  OPCODE.seek10,
  OPCODE.synchronizeCache10,
  OPCODE.synchronizeCache16,
]);

const TO_DEVICE: ReadonlySet<number> = new Set([
  OPCODE.write6,
  OPCODE.write10,
  OPCODE.write12,
  OPCODE.write16,
  OPCODE.writeAndVerify10,
  OPCODE.writeAndVerify12,
  OPCODE.writeAndVerify16,
  OPCODE.writeSame10,
  OPCODE.writeSame16,
  OPCODE.verify10,
  OPCODE.verify12,
  OPCODE.verify16,
  OPCODE.modeSelect6,
  OPCODE.modeSelect10,
  OPCODE.unmap,
  OPCODE.reserve10,
  OPCODE.release10,
  OPCODE.persistentReserveOut,
  OPCODE.compareAndWrite,
]);

const BLOCKS: ReadonlySet<number> = new Set([
  OPCODE.read6,
  OPCODE.read10,
  OPCODE.read12,
  OPCODE.read16,
  OPCODE.write6,
  OPCODE.write10,
  OPCODE.write12,
  OPCODE.write16,
  OPCODE.writeAndVerify10,
  OPCODE.writeAndVerify12,
  OPCODE.writeAndVerify16,
]);

/**
 * The transfer that a CDB asks for.
 * @param blockSize the logical block size in bytes.
 * @see QEMU `hw/scsi/scsi-bus.c`, scsi_req_xfer and scsi_cmd_xfer_mode.
 */
export function transferOf(cdb: Cdb, blockSize: number): Transfer {
  const bytes = transferBytes(cdb, blockSize);
  if (bytes === 0) {
    return { direction: 'none', bytes };
  }
  return { direction: TO_DEVICE.has(cdb.opcode) ? 'to-device' : 'from-device', bytes };
}

function transferBytes({ opcode, bytes, transfer }: Cdb, blockSize: number): number {
  if (NO_DATA.has(opcode)) {
    return 0;
  }
  if (BLOCKS.has(opcode)) {
    return transfer * blockSize;
  }
  switch (opcode) {
    case OPCODE.readCapacity10:
      return 8;
    case OPCODE.verify10:
    case OPCODE.verify12:
    case OPCODE.verify16:
      // BYTCHK 00b sends nothing; 01b sends every block; 1xb sends one.
      return (bytes[1] & 2) === 0 ? 0 : ((bytes[1] & 4) === 0 ? transfer : 1) * blockSize;
    case OPCODE.writeSame10:
      return blockSize;
    case OPCODE.writeSame16:
      // NDOB (no data-out buffer).
      return (bytes[1] & 1) === 0 ? blockSize : 0;
    case OPCODE.persistentReserveOut:
      return new DataView(bytes.buffer).getUint32(5);
    case OPCODE.compareAndWrite:
      return bytes[13] * 2 * blockSize;
    default:
      return transfer;
  }
}

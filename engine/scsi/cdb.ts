/**
 * A command descriptor block, decoded once. QEMU's `scsi/utils.c` and `hw/scsi/scsi-bus.c` (scsi_req_xfer) are the measure
 * for lengths.
 */
import { cdbLength, OPCODE, opcodeName } from './opcode.ts';

export interface Cdb {
  readonly bytes: Uint8Array;
  readonly opcode: number;
  readonly name: string;
  /** Bytes of the CDB by its group: 6, 10, 12 or 16. */
  readonly length: number;
  /** LOGICAL BLOCK ADDRESS, in logical blocks; above 2^53 it is rounded up, so that it stays out of every disk's range. */
  readonly lba: number;
  /** TRANSFER LENGTH, ALLOCATION LENGTH or PARAMETER LIST LENGTH as it stands there (a 0 of READ(6) and WRITE(6) is 256). */
  readonly transfer: number;
}

/**
 * Decodes a CDB. Bytes past the command's own length are ignored (a virtio-scsi CDB field is 32 bytes long, zero-padded).
 * @returns undefined where the opcode's group has no fixed length or fewer bytes are there than it needs (CVE-2016-5126's kin).
 */
export function decodeCdb(source: Uint8Array): Cdb | undefined {
  if (source.length === 0) {
    return undefined;
  }
  const opcode = source[0];
  const length = cdbLength(opcode);
  if (length === 0 || source.length < length) {
    return undefined;
  }
  // The driver may change its memory while the command runs: everything is decoded from this copy.
  const bytes = source.slice(0, length);
  const view = new DataView(bytes.buffer);
  switch (length) {
    case 6: {
      const blocks = opcode === OPCODE.read6 || opcode === OPCODE.write6;
      return {
        bytes,
        opcode,
        name: opcodeName(opcode),
        length,
        lba: view.getUint32(0) & 0x1fffff,
        transfer: blocks && bytes[4] === 0 ? 256 : opcode === OPCODE.inquiry ? view.getUint16(3) : bytes[4],
      };
    }
    case 10:
      return {
        bytes,
        opcode,
        name: opcodeName(opcode),
        length,
        lba: view.getUint32(2),
        transfer: view.getUint16(7),
      };
    case 12:
      return {
        bytes,
        opcode,
        name: opcodeName(opcode),
        length,
        lba: view.getUint32(2),
        transfer: view.getUint32(6),
      };
    default:
      return {
        bytes,
        opcode,
        name: opcodeName(opcode),
        length,
        lba: view.getUint32(2) * 0x1_0000_0000 + view.getUint32(6),
        transfer: view.getUint32(10),
      };
  }
}

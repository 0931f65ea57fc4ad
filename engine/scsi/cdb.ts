/**
 * A command descriptor block, decoded once. QEMU's `scsi/utils.c` and `hw/scsi/scsi-bus.c` (scsi_req_xfer) are the measure
 * for lengths.
 */
import { scsiOpcodeName } from '../trace/scsi-names.ts';
import { cdbLength, OPCODE } from './opcode.ts';

/** READ(6), WRITE(6) and READ REVERSE: a length of 0 is 256. */
const COUNTS_TO_256: ReadonlySet<number> = new Set([OPCODE.read6, OPCODE.write6, 0x0f]);
/** Bytes of the longest CDB that is decoded. */
const LONGEST = 16;

export interface Cdb {
  /** Sixteen bytes, zeroes after the command's own length. */
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

/** A CDB that is read into again and again, for who handles many commands. */
export class CdbReader implements Cdb {
  readonly bytes = new Uint8Array(LONGEST);
  opcode = 0;
  length = 6;
  lba = 0;
  transfer = 0;
  readonly #view = new DataView(this.bytes.buffer);

  get name(): string {
    return scsiOpcodeName(this.opcode);
  }

  /**
   * Copies the CDB out of `source` and decodes the copy: the driver may change its memory while the command runs. Bytes past the
   * command's own length are ignored (a virtio-scsi CDB field is 32 bytes long, zero-padded). False where the opcode's group has
   * no fixed length or fewer than `available` bytes are there (CVE-2016-5126's kin).
   */
  load(source: Uint8Array, at: number, available: number): boolean {
    if (available === 0) return false;
    const opcode = source[at];
    const length = cdbLength(opcode);
    this.opcode = opcode;
    this.length = length;
    this.lba = this.transfer = 0;
    if (length === 0 || available < length) return false;
    const { bytes } = this;
    for (let i = 0; i < LONGEST; i++) bytes[i] = i < length ? source[at + i] : 0;
    const view = this.#view;
    switch (length) {
      case 6:
        this.lba = view.getUint32(0) & 0x1fffff;
        this.transfer = this.#shortTransfer();
        break;
      case 10:
        this.lba = view.getUint32(2);
        this.transfer = view.getUint16(7);
        break;
      case 12:
        this.lba = view.getUint32(2);
        this.transfer = view.getUint32(6);
        break;
      default:
        this.lba = view.getUint32(2) * 0x1_0000_0000 + view.getUint32(6);
        this.transfer = view.getUint32(10);
    }
    return true;
  }

  #shortTransfer(): number {
    const { opcode, bytes } = this;
    if (opcode === OPCODE.inquiry) return this.#view.getUint16(3);
    return bytes[4] === 0 && COUNTS_TO_256.has(opcode) ? 256 : bytes[4];
  }
}

/** Decodes one CDB; undefined where `CdbReader.load` is false. */
export function decodeCdb(source: Uint8Array): Cdb | undefined {
  const cdb = new CdbReader();
  return cdb.load(source, 0, source.length) ? cdb : undefined;
}

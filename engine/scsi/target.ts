/**
 * A SCSI target: its logical units, and the commands that it answers in their place: REPORT LUNS, and whatever is sent to a logical
 * unit that is not there (QEMU's `scsi_target_send_command`).
 */
import type { Cdb } from './cdb.ts';
import { good, refuse, type LogicalUnit, type ScsiAnswer } from './command.ts';
import { scatter } from './segments.ts';
import { OPCODE } from './opcode.ts';
import { descriptorSense, fixedSense, SENSE, type Sense } from './sense.ts';

/** virtio-scsi's and QEMU's limit: flat space addressing has 14 bits. */
export const MAX_LUN = 16383;
const TYPE_NOT_PRESENT = 0x20 | 0x1f;
const TYPE_NO_LUN = 0x7f;
const INQUIRY_LENGTH = 36;

export class ScsiTarget {
  /** In the order in which they came. */
  readonly #units = new Map<number, LogicalUnit>();

  attach(lun: number, unit: LogicalUnit): void {
    if (!Number.isInteger(lun) || lun < 0 || lun > MAX_LUN) {
      throw new RangeError(`bad scsi device lun: ${lun}`);
    }
    if (this.#units.has(lun)) {
      throw new RangeError(`lun ${lun} is already used`);
    }
    this.#units.set(lun, unit);
  }

  detach(lun: number): boolean {
    return this.#units.delete(lun);
  }

  unit(lun: number): LogicalUnit | undefined {
    return this.#units.get(lun);
  }

  /** The unit, or the one that answers for a missing one: the newest, as in QEMU's `scsi_device_find`. */
  nearest(lun: number): LogicalUnit | undefined {
    return this.#units.get(lun) ?? [...this.#units.values()].at(-1);
  }

  /** The newest first, as QEMU's bus lists its children. */
  get luns(): number[] {
    return [...this.#units.keys()].toReversed();
  }

  /**
   * A command for the target itself: REPORT LUNS, REQUEST SENSE after a failure, anything to a missing unit.
   * @param sense what the unit that answers was left with.
   */
  answer(lun: number, cdb: Cdb, dataIn: readonly Uint8Array[], sense: Sense | undefined): ScsiAnswer {
    if (lun !== 0) return notZero(cdb, dataIn);
    switch (cdb.opcode) {
      case OPCODE.reportLuns:
        return this.#reportLuns(cdb, dataIn);
      case OPCODE.requestSense:
        return senseData(cdb, dataIn, sense ?? SENSE.noSense);
      case OPCODE.inquiry:
        return inquiry(cdb, dataIn, absentTarget);
      case OPCODE.testUnitReady:
        return good();
      default:
        return refuse(SENSE.invalidOpcode);
    }
  }

  /** REPORT LUNS, SPC-4 section 6.33; LUN 0 is always listed. */
  #reportLuns(cdb: Cdb, dataIn: readonly Uint8Array[]): ScsiAnswer {
    const selectReport = cdb.bytes[2];
    if (cdb.transfer < 16 || selectReport > 2) {
      return refuse(SENSE.invalidField);
    }
    const luns = [0, ...this.luns.filter((lun) => lun !== 0)];
    const data = new Uint8Array(8 + 8 * luns.length);
    new DataView(data.buffer).setUint32(0, data.length - 8);
    luns.forEach((lun, index) => data.set(encodeLun(lun), 8 + 8 * index));
    return good(scatter(data.subarray(0, cdb.transfer - (cdb.transfer % 8)), dataIn));
  }
}

/** SAM-5 section 4.7: peripheral device addressing below 256, flat space addressing above. */
export function encodeLun(lun: number): Uint8Array {
  const bytes = new Uint8Array(8);
  bytes[0] = lun < 256 ? 0 : 0x40 | (lun >> 8);
  bytes[1] = lun & 0xff;
  return bytes;
}

/** QEMU's target speaks for LUN 0 only: to another one it says that it is not supported, even where there is one. */
function notZero(cdb: Cdb, dataIn: readonly Uint8Array[]): ScsiAnswer {
  if (cdb.opcode === OPCODE.inquiry) return inquiry(cdb, dataIn, absentUnit);
  if (cdb.opcode === OPCODE.requestSense) return senseData(cdb, dataIn, SENSE.lunNotSupported);
  return refuse(SENSE.lunNotSupported);
}

function senseData(cdb: Cdb, dataIn: readonly Uint8Array[], sense: Sense): ScsiAnswer {
  const data = (cdb.bytes[1] & 1) === 0 ? fixedSense(sense) : descriptorSense(sense);
  return good(scatter(data.subarray(0, cdb.transfer), dataIn));
}

/** INQUIRY for a unit that is not there; the only VPD page is the list of pages. */
function inquiry(
  cdb: Cdb,
  dataIn: readonly Uint8Array[],
  standard: (length: number) => Uint8Array,
): ScsiAnswer {
  const vital = (cdb.bytes[1] & 1) !== 0;
  // CMDDT is long obsolete.
  if ((cdb.bytes[1] & 2) !== 0 || cdb.bytes[2] !== 0) return refuse(SENSE.invalidField);
  const data = vital ? Uint8Array.of(0, 0, 1, 0) : standard(Math.min(cdb.transfer, INQUIRY_LENGTH));
  return good(scatter(data.subarray(0, cdb.transfer), dataIn));
}

function absentUnit(): Uint8Array {
  const data = new Uint8Array(INQUIRY_LENGTH);
  data[0] = TYPE_NO_LUN;
  return data;
}

function absentTarget(length: number): Uint8Array {
  const data = new Uint8Array(INQUIRY_LENGTH);
  data[0] = TYPE_NOT_PRESENT;
  data[2] = 5;
  data[3] = 0x12;
  data[4] = length - 5;
  data[7] = 0x12;
  data.set(new TextEncoder().encode('QEMU    QEMU TARGET     2.5'), 8);
  return data;
}

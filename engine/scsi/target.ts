/**
 * A SCSI target: its logical units, and the commands that it answers in their place: REPORT LUNS, and whatever is sent to a logical
 * unit that is not there (QEMU's `scsi_target_send_command`).
 */
import type { Maybe } from '../maybe.ts';
import { good, refuse, type LogicalUnit, type ScsiAnswer, type ScsiCommand } from './command.ts';
import { scatter } from './segments.ts';
import { OPCODE } from './opcode.ts';
import { descriptorSense, fixedSense, SENSE } from './sense.ts';

/** virtio-scsi's and QEMU's limit: flat space addressing has 14 bits. */
export const MAX_LUN = 16383;
const TYPE_NOT_PRESENT = 0x20 | 0x1f;
const TYPE_NO_LUN = 0x7f;

export class ScsiTarget {
  readonly #units = new Map<number, LogicalUnit>();

  /** Adds a logical unit; a unit that came later makes every other one report that the LUN list changed. */
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

  get luns(): number[] {
    return [...this.#units.keys()].toSorted((a, b) => a - b);
  }

  reset(): void {
    for (const unit of this.#units.values()) {
      unit.reset();
    }
  }

  /** Runs a command on the logical unit, or answers for a missing one. */
  execute(lun: number, command: ScsiCommand): Maybe<ScsiAnswer> {
    if (command.cdb.opcode === OPCODE.reportLuns) {
      return this.#reportLuns(command);
    }
    const unit = this.#units.get(lun);
    return unit === undefined ? missing(lun, command) : unit.execute(command);
  }

  /** REPORT LUNS, SPC-4 section 6.33; LUN 0 is always listed. */
  #reportLuns({ cdb, dataIn }: ScsiCommand): ScsiAnswer {
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

function missing(lun: number, { cdb, dataIn }: ScsiCommand): ScsiAnswer {
  switch (cdb.opcode) {
    case OPCODE.inquiry: {
      const vital = (cdb.bytes[1] & 1) !== 0;
      if (cdb.bytes[2] !== 0) {
        return refuse(SENSE.invalidField);
      }
      const data = vital ? Uint8Array.of(0, 0, 1, 0) : absentInquiry(lun);
      return good(scatter(data.subarray(0, cdb.transfer), dataIn));
    }
    case OPCODE.requestSense: {
      const sense = lun === 0 ? SENSE.noSense : SENSE.lunNotSupported;
      const data = (cdb.bytes[1] & 1) === 0 ? fixedSense(sense) : descriptorSense(sense);
      return good(scatter(data.subarray(0, cdb.transfer), dataIn));
    }
    case OPCODE.testUnitReady:
      return lun === 0 ? good() : refuse(SENSE.lunNotSupported);
    default:
      return refuse(lun === 0 ? SENSE.invalidOpcode : SENSE.lunNotSupported);
  }
}

function absentInquiry(lun: number): Uint8Array {
  const data = new Uint8Array(36);
  if (lun !== 0) {
    data[0] = TYPE_NO_LUN;
    return data;
  }
  data[0] = TYPE_NOT_PRESENT;
  data[2] = 5;
  data[3] = 0x12;
  data[4] = data.length - 5;
  data[7] = 0x12;
  data.set(new TextEncoder().encode('QEMU    QEMU TARGET     2.5'), 8);
  return data;
}

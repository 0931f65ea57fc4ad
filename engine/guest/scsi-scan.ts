/**
 * Finding the logical units of a target and what they are, as Linux does (drivers/scsi/scsi_scan.c, sd.c): INQUIRY to LUN 0, REPORT
 * LUNS, INQUIRY to each, and for a disk TEST UNIT READY until no unit attention is pending, READ CAPACITY, the caching mode page.
 */
import { OPCODE, SERVICE_ACTION } from '../scsi/opcode.ts';
import { SCSI_STATUS } from './scsi-disposition.ts';

/** One logical unit. */
export interface ScannedUnit {
  target: number;
  lun: number;
  /** Peripheral device type: 0 a disk, 5 a CD-ROM. */
  type: number;
  /** The medium can be changed (RMB). */
  removable: boolean;
  /** Vendor, product and revision as INQUIRY has them, without the blanks at the end. */
  vendor: string;
  product: string;
  revision: string;
  /** Bytes of a logical block, and how many there are; 0 without a medium. */
  blockSize: number;
  blocks: number;
  writeCache: boolean;
  /** READ CAPACITY(16) says that UNMAP is worth trying (LBPME). */
  thin: boolean;
}

/** Sends a command with room for `into` bytes; undefined when there is no such target. */
export type SendCommand = (
  target: number,
  lun: number,
  cdb: Uint8Array,
  into: number,
) => { status: number; data: Uint8Array } | undefined;

const INQUIRY_BYTES = 36;
const LIST_BYTES = 1024;
const MODE_BYTES = 192;
/** `SD_MAX_RETRIES`. */
const RETRIES = 5;
/** Peripheral qualifier and type of a unit that is not there. */
const NOTHING = 0x1f;

export class ScsiScan {
  readonly #send: SendCommand;

  constructor(send: SendCommand) {
    this.#send = send;
  }

  /** Every unit of the target; none when there is no such target. */
  target(target: number): ScannedUnit[] {
    if (this.#inquiry(target, 0) === undefined) return [];
    return this.#luns(target).flatMap((lun) => {
      const inquiry = this.#inquiry(target, lun);
      return inquiry === undefined || (inquiry[0] & 0x1f) === NOTHING
        ? []
        : [this.#probe(target, lun, inquiry)];
    });
  }

  /** The data of a command, or undefined when it failed in any way. */
  #data(target: number, lun: number, cdb: number[], into: number): Uint8Array | undefined {
    for (let tries = 0; tries < RETRIES; tries++) {
      const answer = this.#send(target, lun, Uint8Array.from(cdb), into);
      if (answer === undefined) return undefined;
      if (answer.status === SCSI_STATUS.good) return answer.data;
    }
    return undefined;
  }

  #inquiry(target: number, lun: number): Uint8Array | undefined {
    return this.#data(target, lun, [OPCODE.inquiry, 0, 0, 0, INQUIRY_BYTES, 0], INQUIRY_BYTES);
  }

  /** REPORT LUNS; LUN 0 alone when it is refused. */
  #luns(target: number): number[] {
    const cdb = [OPCODE.reportLuns, 0, 0, 0, 0, 0, 0, 0, LIST_BYTES >> 8, LIST_BYTES & 255, 0, 0];
    const data = this.#data(target, 0, cdb, LIST_BYTES);
    if (data === undefined) return [0];
    const length = Math.min(new DataView(data.buffer).getUint32(0), LIST_BYTES - 8);
    const luns: number[] = [];
    for (let at = 8; at + 8 <= 8 + length; at += 8) luns.push(((data[at] << 8) | data[at + 1]) & 0x3fff);
    return luns.toSorted((a, b) => a - b);
  }

  #probe(target: number, lun: number, inquiry: Uint8Array): ScannedUnit {
    const text = (from: number, to: number): string =>
      new TextDecoder().decode(inquiry.subarray(from, to)).replace(/[ \0]+$/, '');
    // Takes pending unit attentions away.
    this.#data(target, lun, [OPCODE.testUnitReady, 0, 0, 0, 0, 0], 0);
    return {
      target,
      lun,
      type: inquiry[0] & 0x1f,
      removable: (inquiry[1] & 0x80) !== 0,
      vendor: text(8, 16),
      product: text(16, 32),
      revision: text(32, 36),
      ...this.#capacity(target, lun),
      writeCache: this.#writeCache(target, lun),
    };
  }

  /** READ CAPACITY(16), and (10) when that is refused, as sd does for units of SPC-3 and later. */
  #capacity(target: number, lun: number): Pick<ScannedUnit, 'blocks' | 'blockSize' | 'thin'> {
    const long = new Uint8Array(16);
    long.set([OPCODE.serviceActionIn16, SERVICE_ACTION.readCapacity16]);
    long[13] = 32;
    const data = this.#data(target, lun, [...long], 32);
    if (data !== undefined) {
      const view = new DataView(data.buffer);
      return {
        blocks: Number(view.getBigUint64(0)) + 1,
        blockSize: view.getUint32(8),
        thin: (data[14] & 0x80) !== 0,
      };
    }
    const short = this.#data(target, lun, [OPCODE.readCapacity10, 0, 0, 0, 0, 0, 0, 0, 0, 0], 8);
    if (short === undefined) return { blocks: 0, blockSize: 512, thin: false };
    const view = new DataView(short.buffer);
    return { blocks: view.getUint32(0) + 1, blockSize: view.getUint32(4), thin: false };
  }

  /** WCE of the caching mode page, behind header and block descriptor. */
  #writeCache(target: number, lun: number): boolean {
    const data = this.#data(target, lun, [OPCODE.modeSense6, 0, 0x08, 0, MODE_BYTES, 0], MODE_BYTES);
    return data !== undefined && (data[4 + data[3] + 2] & 4) !== 0;
  }
}

/**
 * Sense data: what a SCSI device answers when it refuses (SPC-4 section 4.5). The codes are those that QEMU's devices report
 * (`scsi/utils.c`), under the names of SPC-4 annex D.
 */

/** A sense key with its additional sense code and qualifier. */
export interface Sense {
  readonly key: number;
  readonly asc: number;
  readonly ascq: number;
}

const sense = (key: number, asc: number, ascq: number): Sense => ({ key, asc, ascq });

export const SENSE = {
  noSense: sense(0x0, 0x00, 0x00),
  lunNotReady: sense(0x2, 0x04, 0x03),
  noMedium: sense(0x2, 0x3a, 0x00),
  notReadyRemovalPrevented: sense(0x2, 0x53, 0x02),
  readError: sense(0x3, 0x11, 0x00),
  writeError: sense(0x3, 0x0c, 0x00),
  targetFailure: sense(0x4, 0x44, 0x00),
  invalidOpcode: sense(0x5, 0x20, 0x00),
  lbaOutOfRange: sense(0x5, 0x21, 0x00),
  invalidField: sense(0x5, 0x24, 0x00),
  invalidParam: sense(0x5, 0x26, 0x00),
  invalidParamLength: sense(0x5, 0x1a, 0x00),
  invalidReleaseOfReservation: sense(0x5, 0x26, 0x04),
  lunNotSupported: sense(0x5, 0x25, 0x00),
  savingParamsNotSupported: sense(0x5, 0x39, 0x00),
  illegalRemovalPrevented: sense(0x5, 0x53, 0x02),
  incompatibleMedium: sense(0x5, 0x30, 0x00),
  insufficientRegistrationResources: sense(0x5, 0x55, 0x04),
  mediumChanged: sense(0x6, 0x28, 0x00),
  reset: sense(0x6, 0x29, 0x00),
  powerOn: sense(0x6, 0x29, 0x01),
  capacityChanged: sense(0x6, 0x2a, 0x09),
  reservationsPreempted: sense(0x6, 0x2a, 0x03),
  reservationsReleased: sense(0x6, 0x2a, 0x04),
  registrationsPreempted: sense(0x6, 0x2a, 0x05),
  reportedLunsChanged: sense(0x6, 0x3f, 0x0e),
  unitAttentionNoMedium: sense(0x6, 0x3a, 0x00),
  writeProtected: sense(0x7, 0x27, 0x00),
  spaceAllocationFailed: sense(0x7, 0x27, 0x07),
  ioError: sense(0xb, 0x00, 0x06),
  miscompare: sense(0xe, 0x1d, 0x00),
} as const;

/** Bytes of fixed-format sense data as QEMU sends them (byte 7: additional length 10). */
const FIXED_SENSE_LENGTH = 18;

/** Fixed-format current sense data, SPC-4 section 4.5.3: 18 bytes. */
export function fixedSense({ key, asc, ascq }: Sense): Uint8Array {
  const bytes = new Uint8Array(FIXED_SENSE_LENGTH);
  bytes[0] = 0x70;
  bytes[2] = key;
  bytes[7] = FIXED_SENSE_LENGTH - 8;
  bytes[12] = asc;
  bytes[13] = ascq;
  return bytes;
}

/** Descriptor-format current sense data without descriptors, SPC-4 section 4.5.2: 8 bytes. */
export function descriptorSense({ key, asc, ascq }: Sense): Uint8Array {
  return Uint8Array.of(0x72, key, asc, ascq, 0, 0, 0, 0);
}

/**
 * The sense in the first bytes of sense data of either format, or undefined where the bytes are too few or the response
 * code is none of 70h–73h.
 */
export function parseSense(bytes: Uint8Array): Sense | undefined {
  const code = bytes.length === 0 ? 0 : bytes[0] & 0x7f;
  if ((code === 0x70 || code === 0x71) && bytes.length >= 14) {
    return sense(bytes[2] & 0xf, bytes[12], bytes[13]);
  }
  if ((code === 0x72 || code === 0x73) && bytes.length >= 4) {
    return sense(bytes[1] & 0xf, bytes[2], bytes[3]);
  }
  return undefined;
}

/**
 * How urgent a unit attention is (SPC-4 section 5.14 and SAM-5 table 49, as QEMU's `scsi_ua_precedence` orders them): the lower
 * stays, whichever came first.
 */
function attentionRank({ asc, ascq }: Sense): number {
  if (asc === 0x29 && ascq === 0x04) return 1;
  if (asc === 0x3f && ascq === 0x01) return 2;
  if (asc === 0x29 && ascq <= 0x07 && ascq !== 0x05 && ascq !== 0x06) return ascq;
  if (asc === 0x2f && ascq === 0x01) return 8;
  return (asc << 8) | ascq;
}

/** The one of two pending unit attentions that is reported first. */
export function moreUrgent(pending: Sense | undefined, next: Sense): Sense {
  return pending !== undefined && attentionRank(pending) <= attentionRank(next) ? pending : next;
}

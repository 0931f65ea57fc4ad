/** SCSI in words: operation codes (SPC-4 annex E.3), statuses, sense keys and additional sense codes (annex D), as the standards write them. */

/** Operation codes of disks and CD-ROMs. */
const OPCODES: Readonly<Record<number, string>> = {
  0x00: 'TEST UNIT READY',
  0x03: 'REQUEST SENSE',
  0x04: 'FORMAT UNIT',
  0x08: 'READ(6)',
  0x0a: 'WRITE(6)',
  0x12: 'INQUIRY',
  0x15: 'MODE SELECT(6)',
  0x16: 'RESERVE(6)',
  0x17: 'RELEASE(6)',
  0x1a: 'MODE SENSE(6)',
  0x1b: 'START STOP UNIT',
  0x1e: 'PREVENT ALLOW MEDIUM REMOVAL',
  0x25: 'READ CAPACITY(10)',
  0x28: 'READ(10)',
  0x2a: 'WRITE(10)',
  0x2b: 'SEEK(10)',
  0x2e: 'WRITE AND VERIFY(10)',
  0x2f: 'VERIFY(10)',
  0x35: 'SYNCHRONIZE CACHE(10)',
  0x41: 'WRITE SAME(10)',
  0x42: 'UNMAP',
  0x43: 'READ TOC/PMA/ATIP',
  0x46: 'GET CONFIGURATION',
  0x4a: 'GET EVENT STATUS NOTIFICATION',
  0x51: 'READ DISC INFORMATION',
  0x55: 'MODE SELECT(10)',
  0x56: 'RESERVE(10)',
  0x57: 'RELEASE(10)',
  0x5a: 'MODE SENSE(10)',
  0x5e: 'PERSISTENT RESERVE IN',
  0x5f: 'PERSISTENT RESERVE OUT',
  0x88: 'READ(16)',
  0x89: 'COMPARE AND WRITE',
  0x8a: 'WRITE(16)',
  0x8e: 'WRITE AND VERIFY(16)',
  0x8f: 'VERIFY(16)',
  0x91: 'SYNCHRONIZE CACHE(16)',
  0x93: 'WRITE SAME(16)',
  0x9e: 'SERVICE ACTION IN(16)',
  0xa0: 'REPORT LUNS',
  0xa3: 'MAINTENANCE IN',
  0xa8: 'READ(12)',
  0xaa: 'WRITE(12)',
  0xad: 'READ DVD STRUCTURE',
  0xae: 'WRITE AND VERIFY(12)',
  0xaf: 'VERIFY(12)',
  0xbd: 'MECHANISM STATUS',
};

/** The command's name as the standards write it, or its code in hexadecimal. */
export function scsiOpcodeName(opcode: number): string {
  return OPCODES[opcode] ?? `command ${opcode.toString(16).padStart(2, '0')}h`;
}

/** SPC-4 table 48. */
export const SENSE_KEYS = [
  'NO SENSE',
  'RECOVERED ERROR',
  'NOT READY',
  'MEDIUM ERROR',
  'HARDWARE ERROR',
  'ILLEGAL REQUEST',
  'UNIT ATTENTION',
  'DATA PROTECT',
  'BLANK CHECK',
  'VENDOR SPECIFIC',
  'COPY ABORTED',
  'ABORTED COMMAND',
  'RESERVED',
  'VOLUME OVERFLOW',
  'MISCOMPARE',
  'COMPLETED',
] as const;

/** Additional sense code × 256 + qualifier: those that Platter's and QEMU's devices report. */
const SENSE_CODES: Readonly<Record<number, string>> = {
  0x0000: 'NO ADDITIONAL SENSE INFORMATION',
  0x0006: 'I/O PROCESS TERMINATED',
  0x0403: 'LOGICAL UNIT NOT READY, MANUAL INTERVENTION REQUIRED',
  0x0c00: 'WRITE ERROR',
  0x1100: 'UNRECOVERED READ ERROR',
  0x1a00: 'PARAMETER LIST LENGTH ERROR',
  0x1d00: 'MISCOMPARE DURING VERIFY OPERATION',
  0x2000: 'INVALID COMMAND OPERATION CODE',
  0x2100: 'LOGICAL BLOCK ADDRESS OUT OF RANGE',
  0x2400: 'INVALID FIELD IN CDB',
  0x2500: 'LOGICAL UNIT NOT SUPPORTED',
  0x2600: 'INVALID FIELD IN PARAMETER LIST',
  0x2604: 'INVALID RELEASE OF PERSISTENT RESERVATION',
  0x2700: 'WRITE PROTECTED',
  0x2707: 'SPACE ALLOCATION FAILED WRITE PROTECT',
  0x2800: 'NOT READY TO READY CHANGE, MEDIUM MAY HAVE CHANGED',
  0x2900: 'POWER ON, RESET, OR BUS DEVICE RESET OCCURRED',
  0x2901: 'POWER ON OCCURRED',
  0x2a03: 'RESERVATIONS PREEMPTED',
  0x2a04: 'RESERVATIONS RELEASED',
  0x2a05: 'REGISTRATIONS PREEMPTED',
  0x2a09: 'CAPACITY DATA HAS CHANGED',
  0x3000: 'INCOMPATIBLE MEDIUM INSTALLED',
  0x3900: 'SAVING PARAMETERS NOT SUPPORTED',
  0x3a00: 'MEDIUM NOT PRESENT',
  0x3f0e: 'REPORTED LUNS DATA HAS CHANGED',
  0x4400: 'INTERNAL TARGET FAILURE',
  0x5302: 'MEDIUM REMOVAL PREVENTED',
  0x5504: 'INSUFFICIENT REGISTRATION RESOURCES',
};

/** `asc * 256 + ascq` in words, or both in hexadecimal. */
export function scsiSenseCodeName(code: number): string {
  const pair = (byte: number): string => byte.toString(16).padStart(2, '0');
  return SENSE_CODES[code] ?? `${pair((code >> 8) & 0xff)}h/${pair(code & 0xff)}h`;
}

const STATUSES: Readonly<Record<number, string>> = {
  0x00: 'GOOD',
  0x02: 'CHECK CONDITION',
  0x04: 'CONDITION MET',
  0x08: 'BUSY',
  0x18: 'RESERVATION CONFLICT',
  0x28: 'TASK SET FULL',
  0x30: 'ACA ACTIVE',
  0x40: 'TASK ABORTED',
};

/** SAM-5 table 36. */
export function scsiStatusName(status: number): string {
  return STATUSES[status] ?? `0x${status.toString(16)}`;
}

/** virtio 1.2, section 5.6.6.1 and 5.6.6.2: the `response` of a command and of a control request. */
export const VIRTIO_SCSI_RESPONSES = [
  'OK',
  'OVERRUN',
  'ABORTED',
  'BAD_TARGET',
  'RESET',
  'BUSY',
  'TRANSPORT_FAILURE',
  'TARGET_FAILURE',
  'NEXUS_FAILURE',
  'FAILURE',
  'FUNCTION_SUCCEEDED',
  'FUNCTION_REJECTED',
  'INCORRECT_LUN',
] as const;

/** Section 5.6.6.2: task management functions. */
export const VIRTIO_SCSI_TMFS = [
  'ABORT_TASK',
  'ABORT_TASK_SET',
  'CLEAR_ACA',
  'CLEAR_TASK_SET',
  'I_T_NEXUS_RESET',
  'LOGICAL_UNIT_RESET',
  'QUERY_TASK',
  'QUERY_TASK_SET',
] as const;

const EVENTS = ['NO_EVENT', 'TRANSPORT_RESET', 'ASYNC_NOTIFY', 'PARAM_CHANGE'];

/** Section 5.6.6.3: bit 31 tells that events were missed. */
export function virtioScsiEventName(event: number): string {
  const kind = event & 0x7fff_ffff;
  const name = EVENTS[kind] ?? `0x${kind.toString(16)}`;
  return event >>> 31 === 1 ? `${name}|MISSED` : name;
}

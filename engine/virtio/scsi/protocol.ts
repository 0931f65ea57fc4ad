/** virtio-scsi on the wire (virtio 1.2, section 5.6.6). All fields are little-endian, but the CDB and the sense data. */

/** Section 5.6.2: queues by number; request queues follow. */
export const QUEUE = { control: 0, event: 1, request: 2 } as const;

/** Section 5.6.6.1: lun (8), id (8), task_attr, prio, crn, then the CDB. */
export const CMD_REQ = { lun: 0, tag: 8, taskAttr: 16, prio: 17, crn: 18, cdb: 19 } as const;
/** sense_len (4), residual (4), status_qualifier (2), status, response, then the sense data. */
export const CMD_RESP = { senseLen: 0, resid: 4, qualifier: 8, status: 10, response: 11, sense: 12 } as const;

/** Section 5.6.6.2: the type of a control request. */
export const CTRL_TYPE = { tmf: 0, anQuery: 1, anSubscribe: 2 } as const;
/** type (4), subtype (4), lun (8), id (8); the answer is one byte. */
export const TMF_REQ = { subtype: 4, lun: 8, tag: 16, bytes: 24 } as const;
/** type (4), lun (8), event_requested (4); the answer is event_actual (4) and response (1). */
export const AN_REQ = { lun: 4, eventRequested: 12, bytes: 16 } as const;
export const AN_RESP_BYTES = 5;

export const TMF = {
  abortTask: 0,
  abortTaskSet: 1,
  clearAca: 2,
  clearTaskSet: 3,
  itNexusReset: 4,
  logicalUnitReset: 5,
  queryTask: 6,
  queryTaskSet: 7,
} as const;

/** The `response` byte. For a task management function `ok` means FUNCTION COMPLETE. */
export const RESPONSE = {
  ok: 0,
  overrun: 1,
  aborted: 2,
  badTarget: 3,
  reset: 4,
  busy: 5,
  transportFailure: 6,
  targetFailure: 7,
  nexusFailure: 8,
  failure: 9,
  functionSucceeded: 10,
  functionRejected: 11,
  incorrectLun: 12,
} as const;

/** Section 5.6.6.3: event (4), lun (8), reason (4). */
export const EVENT_BYTES = 16;
export const EVENT = { none: 0, transportReset: 1, asyncNotify: 2, paramChange: 3 } as const;
export const EVENTS_MISSED = 0x8000_0000;
/** Reasons of a transport reset. */
export const RESET_REASON = { hard: 0, rescan: 1, removed: 2 } as const;

/** The LUN of the 8 bytes at `at`: flat or peripheral addressing, 14 bits. */
export function lunOf(bytes: Uint8Array, at: number): number {
  return ((bytes[at + 2] << 8) | bytes[at + 3]) & 0x3fff;
}

/**
 * The target of the 8 bytes at `at`, or -1 when they are no address of a target: byte 0 must be 1, and the LUN in one of the two
 * forms that section 5.6.6.1 allows.
 */
export function targetOf(bytes: Uint8Array, at: number): number {
  const form = bytes[at + 2];
  return bytes[at] === 1 && (form === 0 || (form >= 0x40 && form < 0x80)) ? bytes[at + 1] : -1;
}

/** The 8 bytes for a target and a LUN. */
export function encodeAddress(target: number, lun: number): Uint8Array {
  return Uint8Array.of(1, target, lun < 256 ? 0 : 0x40 | (lun >> 8), lun & 0xff, 0, 0, 0, 0);
}

/**
 * What becomes of a SCSI command that was answered: done, failed, or sent once more. After Linux' `virtscsi_complete_cmd`,
 * `scsi_decide_disposition`, `scsi_check_sense` and `scsi_io_completion_action` (drivers/scsi/virtio_scsi.c, scsi_error.c, scsi_lib.c);
 * what Linux sends again after a while is sent again at once here, and as often as the rest.
 */
import { parseSense, type Sense } from '../scsi/sense.ts';
import { RESPONSE } from '../virtio/scsi/protocol.ts';

/** The statuses of a command (SAM-5 table 44) that the guest tells apart. */
export const SCSI_STATUS = {
  good: 0x00,
  checkCondition: 0x02,
  busy: 0x08,
  reservationConflict: 0x18,
  taskSetFull: 0x28,
} as const;

/** `SD_MAX_RETRIES`: how often a command is sent again. */
export const SD_MAX_RETRIES = 5;

/** Linux' error numbers as a program sees them. */
const ERRNO = { eio: 5, enospc: 28, ebade: 52, enodata: 61, eremoteio: 121 } as const;

export interface Disposition {
  /** Worth another try. */
  again: boolean;
  /** Error number if it is the last one; 0 for none. */
  error: number;
}

const DONE: Disposition = { again: false, error: 0 };
const fail = (error: number): Disposition => ({ again: false, error });
const AGAIN: Disposition = { again: true, error: ERRNO.eio };

/** What virtio-scsi itself says instead of a status (virtio 1.2, section 5.6.6.1). */
const RESPONSES: Readonly<Record<number, Disposition>> = {
  [RESPONSE.reset]: AGAIN,
  [RESPONSE.busy]: AGAIN,
  [RESPONSE.transportFailure]: AGAIN,
  [RESPONSE.targetFailure]: fail(ERRNO.eremoteio),
  [RESPONSE.nexusFailure]: fail(ERRNO.ebade),
};

const KEY = {
  none: 0x0,
  recovered: 0x1,
  notReady: 0x2,
  mediumError: 0x3,
  illegalRequest: 0x5,
  unitAttention: 0x6,
  dataProtect: 0x7,
  abortedCommand: 0xb,
} as const;
/** LOGICAL UNIT NOT READY, IN PROCESS OF BECOMING READY. */
const BECOMING_READY = 0x0401;
/** UNRECOVERED READ ERROR and its like: another try would not help. */
const UNREADABLE: ReadonlySet<number> = new Set([0x11, 0x13, 0x14]);
/** SPACE ALLOCATION FAILED WRITE PROTECT. */
const NO_SPACE = 0x2707;

function ofSense({ key, asc, ascq }: Sense, removable: boolean): Disposition {
  switch (key) {
    case KEY.none:
    case KEY.recovered:
      return DONE;
    case KEY.notReady:
      return asc * 256 + ascq === BECOMING_READY ? AGAIN : fail(ERRNO.eio);
    case KEY.mediumError:
      return UNREADABLE.has(asc) ? fail(ERRNO.enodata) : AGAIN;
    case KEY.illegalRequest:
      return fail(ERRNO.eremoteio);
    case KEY.unitAttention:
      // A medium that can be changed may be another one now.
      return removable ? fail(ERRNO.eio) : AGAIN;
    case KEY.dataProtect:
      return fail(asc * 256 + ascq === NO_SPACE ? ERRNO.enospc : ERRNO.eremoteio);
    case KEY.abortedCommand:
      return AGAIN;
    default:
      return fail(ERRNO.eio);
  }
}

/** `sense`: the sense data, empty for none; `removable`: whether the unit's medium can be changed (INQUIRY's RMB). */
export function disposition(
  response: number,
  status: number,
  sense: Uint8Array,
  removable: boolean,
): Disposition {
  if (response !== RESPONSE.ok) return RESPONSES[response] ?? fail(ERRNO.eio);
  switch (status) {
    case SCSI_STATUS.good:
      return DONE;
    case SCSI_STATUS.checkCondition: {
      const parsed = parseSense(sense);
      return parsed === undefined ? fail(ERRNO.eio) : ofSense(parsed, removable);
    }
    case SCSI_STATUS.busy:
    case SCSI_STATUS.taskSetFull:
      return AGAIN;
    case SCSI_STATUS.reservationConflict:
      return fail(ERRNO.ebade);
    default:
      return fail(ERRNO.eio);
  }
}

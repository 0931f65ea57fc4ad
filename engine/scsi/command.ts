/** A command on its way to a logical unit, and the answer. Shared by every transport: virtio-scsi, vhost-scsi, ATAPI. */
import type { Maybe } from '../maybe.ts';
import type { Cdb } from './cdb.ts';
import type { Sense } from './sense.ts';

/** SAM-5 table 36. */
export const STATUS = {
  good: 0x00,
  checkCondition: 0x02,
  conditionMet: 0x04,
  busy: 0x08,
  reservationConflict: 0x18,
  taskSetFull: 0x28,
  acaActive: 0x30,
  taskAborted: 0x40,
} as const;

/**
 * Data buffers are lists of segments, because guest memory is scattered; a device reads and writes them in order. The
 * initiator may see less than it offered (`moved`), never more.
 */
export interface ScsiCommand {
  readonly cdb: Cdb;
  /** Who sends it: reservations and unit attentions are kept for each initiator. */
  readonly initiator: string;
  /** From the initiator, in order. */
  readonly dataOut: readonly Uint8Array[];
  /** To the initiator, in order. */
  readonly dataIn: readonly Uint8Array[];
}

export interface ScsiAnswer {
  readonly status: number;
  /** With CHECK CONDITION. */
  readonly sense?: Sense;
  /** Bytes moved: into `dataIn`, or taken from `dataOut`. */
  readonly moved: number;
}

/** What a target needs of a logical unit. */
export interface LogicalUnit {
  /** Peripheral device type: 0 direct access, 5 CD/DVD. */
  readonly type: number;
  execute(command: ScsiCommand): Maybe<ScsiAnswer>;
  /** Logical unit or target reset: unit attention for everybody, volatile state gone. */
  reset(): void;
  /** The pending unit attention of this initiator, left pending. */
  pendingAttention(initiator: string): Sense | undefined;
  /** Takes the pending unit attention of this initiator away. */
  takeAttention(initiator: string): Sense | undefined;
}

/** GOOD with so many bytes moved. */
export const good = (moved = 0): ScsiAnswer => ({ status: STATUS.good, moved });
/** CHECK CONDITION with this sense. */
export const refuse = (sense: Sense): ScsiAnswer => ({ status: STATUS.checkCondition, sense, moved: 0 });
export const reservationConflict: ScsiAnswer = { status: STATUS.reservationConflict, moved: 0 };

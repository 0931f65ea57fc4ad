/** A command on its way to a logical unit, and the answer. Shared by every transport: virtio-scsi, vhost-scsi, ATAPI. */
import type { RemovableDrive } from '../block/medium.ts';
import type { BlockNode } from '../block/node.ts';
import type { OnErrors } from '../block/on-error.ts';
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
  /** Why it failed at the block node. */
  readonly failure?: unknown;
}

/** I/O that a command asks of the block node, one of `OP` (trace/format.ts). Whoever has the command carries it out, so that each step of it can be seen. */
export interface BlockTransfer {
  op: number;
  /** Byte offset and length on the disk. */
  offset: number;
  bytes: number;
  /** Flush before reading (FUA): what is read is what is on the medium. */
  before: boolean;
  /** Flush after writing: FUA, or the write cache is off. */
  through: boolean;
  /** Zeroes may be written by giving space back. */
  unmap: boolean;
  /** Bytes that count as moved once it is done. */
  moved: number;
}

/** One that nothing stands in yet. */
export const blockTransfer = (): BlockTransfer => ({
  op: 0,
  offset: 0,
  bytes: 0,
  before: false,
  through: false,
  unmap: false,
  moved: 0,
});

/** What `prepare` made of a command besides an answer: the transfer is filled in, or `run` is to be called with the buffers. */
export const PREPARED = { transfer: 1, run: 2 } as const;

/** Who wants to hear of what a logical unit does besides its answers. */
export interface UnitListener {
  /** Guest or host have moved the tray. */
  trayMoved(open: boolean): void;
  /** A unit attention is pending for everybody. */
  attention(sense: Sense): void;
}

/** What a target needs of a logical unit. */
export interface LogicalUnit {
  /** Peripheral device type: 0 direct access, 5 CD/DVD. */
  readonly type: number;
  /** Bytes of a logical block. */
  readonly blockSize: number;
  /** The medium; undefined for an empty drive. */
  readonly node: BlockNode | undefined;
  /** `rerror=` and `werror=`, for whoever carries its commands out. */
  readonly onErrors: OnErrors;
  /** What the host can do to its medium; undefined unless that can be taken out. */
  readonly drive: RemovableDrive | undefined;
  listener: UnitListener | undefined;
  /** The sense of the last command when it failed, until the next one is done. */
  lastSense: Sense | undefined;
  /** The whole command, pending unit attentions included, for who needs no single steps. */
  execute(command: ScsiCommand): Maybe<ScsiAnswer>;
  /** Begins a command: an answer when there is one already, or one of `PREPARED`. Pending unit attentions are the caller's. */
  prepare(cdb: Cdb, initiator: string, into: BlockTransfer): ScsiAnswer | number;
  /** The rest of a command that `prepare` said to run. With `into` it may come down to one transfer (`PREPARED.transfer`). */
  run(command: ScsiCommand): Maybe<ScsiAnswer>;
  run(command: ScsiCommand, into: BlockTransfer): Maybe<ScsiAnswer | number>;
  /** The answer to a command whose transfer failed. */
  failed(error: unknown, opcode: number): ScsiAnswer;
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

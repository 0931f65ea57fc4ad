/**
 * The SCSI bus of a host adapter: targets with their logical units, and what happens to a command before a logical unit sees it
 * (QEMU's `hw/scsi/scsi-bus.c`): unit attentions, commands that the target answers itself, CDBs that cannot be parsed.
 */
import type { Maybe } from '../maybe.ts';
import type { Cdb } from './cdb.ts';
import {
  PREPARED,
  refuse,
  STATUS,
  type BlockTransfer,
  type LogicalUnit,
  type ScsiAnswer,
  type ScsiCommand,
} from './command.ts';
import { OPCODE } from './opcode.ts';
import { moreUrgent, SENSE, type Sense } from './sense.ts';
import { ScsiTarget } from './target.ts';

export const MAX_TARGET = 255;
/** Data of one command, bytes, as QEMU bounds it. */
export const MOST_BYTES = 0x7fff_ffff;

/** SAM-5 section 5.14: these neither report nor clear a pending unit attention. */
const EXEMPT: ReadonlySet<number> = new Set([
  OPCODE.inquiry,
  OPCODE.reportLuns,
  OPCODE.getConfiguration,
  OPCODE.getEventStatusNotification,
]);

/** One logical unit with its address. */
export interface Attached {
  target: number;
  lun: number;
  unit: LogicalUnit;
}

export class ScsiBus {
  /** Pending for whoever asks first: the list of logical units changed. */
  #attention: Sense | undefined;
  readonly #targets = new Map<number, ScsiTarget>();

  /** Throws RangeError for an address that does not exist or is taken. */
  attach(target: number, lun: number, unit: LogicalUnit): void {
    if (!Number.isInteger(target) || target < 0 || target > MAX_TARGET) {
      throw new RangeError(`bad scsi device id: ${target}`);
    }
    const known = this.#targets.get(target) ?? new ScsiTarget();
    known.attach(lun, unit);
    this.#targets.set(target, known);
  }

  detach(target: number, lun: number): boolean {
    const known = this.#targets.get(target);
    const gone = known?.detach(lun) === true;
    if (known?.luns.length === 0) this.#targets.delete(target);
    return gone;
  }

  unit(target: number, lun: number): LogicalUnit | undefined {
    return this.#targets.get(target)?.unit(lun);
  }

  /** The unit at the address, or the one of the same target that answers for it; undefined without such a target. */
  nearest(target: number, lun: number): LogicalUnit | undefined {
    return this.#targets.get(target)?.nearest(lun);
  }

  units(): Attached[] {
    return [...this.#targets].flatMap(([target, { luns }]) =>
      luns.flatMap((lun) => {
        const unit = this.unit(target, lun);
        return unit === undefined ? [] : [{ target, lun, unit }];
      }),
    );
  }

  /** REPORTED LUNS DATA HAS CHANGED and its like, told to whoever asks first. */
  setAttention(sense: Sense): void {
    this.#attention = moreUrgent(this.#attention, sense);
  }

  /**
   * Takes the unit attention that a command which could be parsed will report; most pending ones are told once, whatever becomes of
   * the command afterwards. Undefined when there is none, or when the command is one that ignores them.
   */
  takeAttention(target: number, lun: number, opcode: number, initiator: string): Sense | undefined {
    const unit = this.nearest(target, lun);
    if (unit === undefined || EXEMPT.has(opcode)) return undefined;
    const own = unit.takeAttention(initiator);
    if (own !== undefined) return own;
    const pending = this.#attention;
    this.#attention = undefined;
    return pending;
  }

  /**
   * Begins a command for a target that there is: an answer when there is one already, or one of `PREPARED`.
   * @param parsed what `CdbReader.load` said.
   * @param bytes what `transferBytes` says of it.
   * @param attention what `takeAttention` found.
   */
  prepare(
    target: number,
    lun: number,
    cdb: Cdb,
    parsed: boolean,
    bytes: number,
    attention: Sense | undefined,
    initiator: string,
    into: BlockTransfer,
  ): ScsiAnswer | number {
    const unit = this.nearest(target, lun);
    if (unit === undefined) return refuse(SENSE.lunNotSupported);
    if (!parsed || bytes > MOST_BYTES) {
      // Refused for itself; what was pending counts as told all the same, as in QEMU.
      this.takeAttention(target, lun, cdb.opcode, initiator);
      return refuse(parsed ? SENSE.invalidField : SENSE.invalidOpcode);
    }
    if (attention !== undefined) return refuse(attention);
    if (cdb.opcode === OPCODE.reportLuns) this.#listIsKnown(unit, initiator);
    if (this.#forTarget(target, lun, cdb.opcode, unit)) return PREPARED.run;
    return unit.prepare(cdb, initiator, into);
  }

  /** REPORT LUNS was asked: nobody has to be told to ask it any more (SPC-4 section 6.33). */
  #listIsKnown(unit: LogicalUnit, initiator: string): void {
    if (sameCode(unit.pendingAttention(initiator))) unit.takeAttention(initiator);
    else if (sameCode(this.#attention)) this.#attention = undefined;
  }

  /** Whether the target answers in the unit's place. */
  #forTarget(target: number, lun: number, opcode: number, unit: LogicalUnit): boolean {
    if (opcode === OPCODE.reportLuns || (opcode === OPCODE.requestSense && unit.lastSense !== undefined))
      return true;
    return this.unit(target, lun) === undefined;
  }

  /** The rest of a command that `prepare` said to run; `PREPARED.transfer` when it came down to one. */
  run(target: number, lun: number, command: ScsiCommand, into: BlockTransfer): Maybe<ScsiAnswer | number> {
    const unit = this.nearest(target, lun);
    const known = this.#targets.get(target);
    if (unit === undefined || known === undefined) return refuse(SENSE.lunNotSupported);
    return this.#forTarget(target, lun, command.cdb.opcode, unit)
      ? known.answer(lun, command.cdb, command.dataIn, unit.lastSense)
      : unit.run(command, into);
  }

  /** A command is done well. */
  succeeded(target: number, lun: number): void {
    const unit = this.nearest(target, lun);
    if (unit !== undefined) unit.lastSense = undefined;
  }

  /**
   * A command is done: what REQUEST SENSE would say now. Unit attentions are not kept, for an adapter that sends sense data with
   * the answer has told of them.
   */
  done(target: number, lun: number, answer: ScsiAnswer): void {
    const unit = this.nearest(target, lun);
    if (unit === undefined) return;
    const sense = answer.status === STATUS.checkCondition ? answer.sense : undefined;
    unit.lastSense = sense?.key === UNIT_ATTENTION ? undefined : sense;
  }
}

const UNIT_ATTENTION = 6;

/** REPORTED LUNS DATA HAS CHANGED. */
function sameCode(sense: Sense | undefined): boolean {
  return sense?.asc === SENSE.reportedLunsChanged.asc && sense.ascq === SENSE.reportedLunsChanged.ascq;
}

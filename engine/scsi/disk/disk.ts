/**
 * A SCSI disk or CD-ROM over a block node: QEMU's `scsi-hd` and `scsi-cd` (`hw/scsi/scsi-disk.c`), with GET LBA STATUS, COMPARE
 * AND WRITE, persistent reservations and REPORT SUPPORTED OPERATION CODES besides, which QEMU's emulated disk refuses.
 */
import type { Maybe } from '../../maybe.ts';
import { andThen, isPromise } from '../../maybe.ts';
import { PlatterError } from '../../errors.ts';
import {
  good,
  refuse,
  reservationConflict,
  type LogicalUnit,
  type ScsiAnswer,
  type ScsiCommand,
} from '../command.ts';
import { scatter } from '../segments.ts';
import { OPCODE, SERVICE_ACTION } from '../opcode.ts';
import { fixedSense, descriptorSense, SENSE, type Sense } from '../sense.ts';
import { getConfiguration, getEventStatus, readToc } from './cdrom.ts';
import { readCapacity10, readCapacity16 } from './capacity.ts';
import { deviceType, inquiry } from './inquiry.ts';
import { modeSelect, modeSense } from './mode.ts';
import type { ScsiDiskOptions } from './options.ts';
import { getLbaStatus, unmap, writeSame } from './provisioning.ts';
import { compareAndWrite, inRange, readBlocks, verifyBlocks, writeBlocks } from './read-write.ts';
import { startStop } from './start-stop.ts';
import { DiskState } from './state.ts';
import { reportSupportedOpcodes, type SupportedCommand } from './supported.ts';

type Handler = (state: DiskState, command: ScsiCommand) => Maybe<ScsiAnswer>;
type Reply = (state: DiskState, command: ScsiCommand) => Uint8Array | Sense;

interface Entry {
  handle: Handler;
  kinds: readonly ('disk' | 'cdrom')[];
  /** Answered without a medium, and while a unit attention is pending for INQUIRY and its like. */
  withoutMedium: boolean;
}

/** An answer that is a block of data, cut to what the initiator has room for. */
function data(reply: Reply): Handler {
  return (state, command) => {
    const bytes = reply(state, command);
    return bytes instanceof Uint8Array
      ? good(scatter(bytes.subarray(0, answerLength(command)), command.dataIn))
      : refuse(bytes);
  };
}

/** READ CAPACITY(10) has no allocation length: its answer is always eight bytes. */
function answerLength({ cdb }: ScsiCommand): number {
  return cdb.opcode === OPCODE.readCapacity10 ? 8 : cdb.transfer;
}

const both = ['disk', 'cdrom'] as const;
const entry = (handle: Handler, kinds: Entry['kinds'] = both, withoutMedium = false): Entry => ({
  handle,
  kinds,
  withoutMedium,
});
/** SPC-2 reservations: accepted, as QEMU does, since there is one initiator; third-party ones are refused. */
const reserveRelease = (thirdParty: number): Handler => {
  return (_, { cdb }) => ((cdb.bytes[1] & thirdParty) === 0 ? good() : refuse(SENSE.invalidField));
};
const read = entry(readBlocks);
const write = entry(writeBlocks, ['disk']);
const verify = entry(verifyBlocks);
const synchronize = entry((state) => andThen(state.options.node.flush(), () => good()));
const same = entry(writeSame, ['disk']);

const COMMANDS = new Map<number, Entry>([
  [OPCODE.testUnitReady, entry(() => good())],
  [OPCODE.requestSense, entry(data(requestSense), both, true)],
  [
    OPCODE.inquiry,
    entry(
      data((state, { cdb }) => inquiry(state, cdb)),
      both,
      true,
    ),
  ],
  [
    OPCODE.modeSense6,
    entry(
      data((state, { cdb }) => modeSense(state, cdb)),
      both,
      true,
    ),
  ],
  [
    OPCODE.modeSense10,
    entry(
      data((state, { cdb }) => modeSense(state, cdb)),
      both,
      true,
    ),
  ],
  [OPCODE.modeSelect6, entry(modeSelect)],
  [OPCODE.modeSelect10, entry(modeSelect)],
  [OPCODE.reserve6, entry(reserveRelease(1), both, true)],
  [OPCODE.release6, entry(reserveRelease(1), both, true)],
  [OPCODE.reserve10, entry(reserveRelease(3), both, true)],
  [OPCODE.release10, entry(reserveRelease(3), both, true)],
  [OPCODE.startStopUnit, entry((state, { cdb }) => startStop(state, cdb), both, true)],
  [OPCODE.preventAllowMediumRemoval, entry(preventAllow, both, true)],
  [OPCODE.readCapacity10, entry(data((state, { cdb }) => readCapacity10(state, cdb)))],
  [OPCODE.serviceActionIn16, entry(serviceActionIn)],
  [OPCODE.read6, read],
  [OPCODE.read10, read],
  [OPCODE.read12, read],
  [OPCODE.read16, read],
  [OPCODE.write6, write],
  [OPCODE.write10, write],
  [OPCODE.write12, write],
  [OPCODE.write16, write],
  [OPCODE.writeAndVerify10, write],
  [OPCODE.writeAndVerify12, write],
  [OPCODE.writeAndVerify16, write],
  [OPCODE.verify10, verify],
  [OPCODE.verify12, verify],
  [OPCODE.verify16, verify],
  [OPCODE.compareAndWrite, entry(compareAndWrite, ['disk'])],
  [
    OPCODE.seek10,
    entry((state, { cdb }) => (inRange(state, cdb.lba, 1) ? good() : refuse(SENSE.lbaOutOfRange))),
  ],
  [OPCODE.synchronizeCache10, synchronize],
  [OPCODE.synchronizeCache16, synchronize],
  [OPCODE.unmap, entry(unmap, ['disk'])],
  [OPCODE.writeSame10, same],
  [OPCODE.writeSame16, same],
  [OPCODE.persistentReserveIn, entry((state, command) => state.reservations.in(command), ['disk'])],
  [OPCODE.persistentReserveOut, entry(persistentReserveOut, ['disk'])],
  [OPCODE.maintenanceIn, entry(maintenanceIn, both, true)],
  [
    OPCODE.readToc,
    entry(
      data((state, { cdb }) => readToc(state, cdb)),
      ['cdrom'],
    ),
  ],
  [
    OPCODE.getConfiguration,
    entry(
      data((state) => getConfiguration(state)),
      ['cdrom'],
      true,
    ),
  ],
  [
    OPCODE.getEventStatusNotification,
    entry(
      data((state, { cdb }) => getEventStatus(state, cdb)),
      ['cdrom'],
      true,
    ),
  ],
]);

/** Commands that do not report and do not clear a pending unit attention (SAM-5 section 5.14). */
const IGNORES_ATTENTION: ReadonlySet<number> = new Set([OPCODE.inquiry, OPCODE.requestSense]);
const PERSISTENT_ATTENTION = {
  preempted: SENSE.reservationsPreempted,
  released: SENSE.reservationsReleased,
  registration: SENSE.registrationsPreempted,
} as const;

export class ScsiDisk implements LogicalUnit {
  readonly type: number;
  readonly state: DiskState;

  constructor(options: ScsiDiskOptions) {
    this.state = new DiskState(options);
    this.type = deviceType(options.kind);
  }

  execute(command: ScsiCommand): Maybe<ScsiAnswer> {
    const { state } = this;
    const { opcode } = command.cdb;
    const known = COMMANDS.get(opcode);
    if (!IGNORES_ATTENTION.has(opcode)) {
      const attention = state.take(command.initiator);
      if (attention !== undefined) {
        return refuse(attention);
      }
    }
    if (known === undefined || !known.kinds.includes(state.options.kind)) {
      return refuse(SENSE.invalidOpcode);
    }
    if (!known.withoutMedium && !state.ready) {
      return refuse(SENSE.noMedium);
    }
    if (state.reservations.blocks(command.initiator, opcode)) {
      return reservationConflict;
    }
    try {
      const answer = known.handle(state, command);
      return isPromise(answer) ? answer.catch((error: unknown) => refuse(senseOf(error, opcode))) : answer;
    } catch (error) {
      return refuse(senseOf(error, opcode));
    }
  }

  reset(): void {
    this.state.trayLocked = false;
    this.state.trayOpen = false;
    this.state.attentionForAll(SENSE.reset);
  }

  /** The node below grew or shrank (SBC-3: CAPACITY DATA HAS CHANGED). */
  capacityChanged(): void {
    if (this.state.options.kind === 'disk') {
      this.state.attentionForAll(SENSE.capacityChanged);
    }
  }

  pendingAttention(initiator: string): Sense | undefined {
    return this.state.pending(initiator);
  }

  takeAttention(initiator: string): Sense | undefined {
    return this.state.take(initiator);
  }
}

/** Which sense an I/O error becomes (QEMU: `scsi_handle_rw_error`, ENOSPC, EINVAL and the rest). */
function senseOf(error: unknown, opcode: number): Sense {
  const errno = error instanceof PlatterError ? error.context.errno : undefined;
  if (errno === 'ENOSPC') {
    return SENSE.spaceAllocationFailed;
  }
  if (errno === 'ENOMEDIUM') {
    return SENSE.noMedium;
  }
  return opcode === OPCODE.inquiry ? SENSE.targetFailure : SENSE.ioError;
}

/** A pending unit attention is reported and cleared; otherwise NO SENSE (SPC-4 section 6.39). */
function requestSense(state: DiskState, { cdb, initiator }: ScsiCommand): Uint8Array {
  const sense = state.take(initiator) ?? SENSE.noSense;
  return (cdb.bytes[1] & 1) === 0 ? fixedSense(sense) : descriptorSense(sense);
}

function preventAllow(state: DiskState, { cdb }: ScsiCommand): ScsiAnswer {
  state.trayLocked = (cdb.bytes[4] & 1) !== 0;
  return good();
}

function serviceActionIn(state: DiskState, command: ScsiCommand): Maybe<ScsiAnswer> {
  switch (command.cdb.bytes[1] & 0x1f) {
    case SERVICE_ACTION.readCapacity16:
      return data((_, { cdb }) => readCapacity16(state, cdb))(state, command);
    case SERVICE_ACTION.getLbaStatus:
      return state.options.kind === 'disk' ? getLbaStatus(state, command) : refuse(SENSE.invalidField);
    default:
      return refuse(SENSE.invalidField);
  }
}

function persistentReserveOut(state: DiskState, command: ScsiCommand): ScsiAnswer {
  return state.reservations.out(command, (initiator, what) =>
    state.attentionFor(initiator, PERSISTENT_ATTENTION[what]),
  );
}

function maintenanceIn(state: DiskState, command: ScsiCommand): Maybe<ScsiAnswer> {
  return (command.cdb.bytes[1] & 0x1f) === SERVICE_ACTION.reportSupportedOperationCodes
    ? data((_, { cdb }) => reportSupportedOpcodes(supportedCommands(state), cdb))(state, command)
    : refuse(SENSE.invalidField);
}

function supportedCommands(state: DiskState): SupportedCommand[] {
  const actions = new Map<number, readonly number[]>([
    [
      OPCODE.serviceActionIn16,
      state.options.kind === 'disk'
        ? [SERVICE_ACTION.readCapacity16, SERVICE_ACTION.getLbaStatus]
        : [SERVICE_ACTION.readCapacity16],
    ],
    [OPCODE.maintenanceIn, [SERVICE_ACTION.reportSupportedOperationCodes]],
    [OPCODE.persistentReserveIn, [0, 1, 2, 3]],
    [OPCODE.persistentReserveOut, [0, 1, 2, 3, 4, 6]],
  ]);
  return [...COMMANDS]
    .filter(([, command]) => command.kinds.includes(state.options.kind))
    .flatMap(([opcode]): SupportedCommand[] => {
      return actions.get(opcode)?.map((serviceAction) => ({ opcode, serviceAction })) ?? [{ opcode }];
    });
}

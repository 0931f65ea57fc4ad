/**
 * A SCSI disk or CD-ROM over a block node: QEMU's `scsi-hd` and `scsi-cd` (`hw/scsi/scsi-disk.c`), with GET LBA STATUS, COMPARE
 * AND WRITE, SYNCHRONIZE CACHE(16), persistent reservations and REPORT SUPPORTED OPERATION CODES besides, which QEMU's emulated
 * disk refuses.
 */
import type { Maybe } from '../../maybe.ts';
import { isPromise } from '../../maybe.ts';
import { PlatterError } from '../../errors.ts';
import type { RemovableDrive } from '../../block/medium.ts';
import type { BlockNode } from '../../block/node.ts';
import type { OnErrors } from '../../block/on-error.ts';
import type { Cdb } from '../cdb.ts';
import {
  blockTransfer,
  good,
  PREPARED,
  refuse,
  reservationConflict,
  type BlockTransfer,
  type LogicalUnit,
  type ScsiAnswer,
  type ScsiCommand,
  type UnitListener,
} from '../command.ts';
import { scatter } from '../segments.ts';
import { OPCODE, SERVICE_ACTION } from '../opcode.ts';
import { transferBytes } from '../transfer.ts';
import { fixedSense, descriptorSense, SENSE, type Sense } from '../sense.ts';
import {
  getConfiguration,
  getEventStatus,
  mechanismStatus,
  readDiscInformation,
  readDvdStructure,
  readToc,
} from './cdrom.ts';
import { readCapacity10, readCapacity16 } from './capacity.ts';
import { deviceType, inquiry } from './inquiry.ts';
import { modeSelect, modeSense } from './mode.ts';
import type { ScsiDiskOptions } from './options.ts';
import { getLbaStatus, unmap, writeSame } from './provisioning.ts';
import {
  carryOut,
  compareAndWrite,
  inRange,
  prepareFlush,
  prepareRead,
  prepareWrite,
  verifyBlocks,
} from './read-write.ts';
import { removableDrive } from './removable.ts';
import { startStop } from './start-stop.ts';
import { DiskState } from './state.ts';
import { reportSupportedOpcodes, type SupportedCommand } from './supported.ts';

type Handler = (state: DiskState, command: ScsiCommand, into?: BlockTransfer) => Maybe<ScsiAnswer | number>;
type Reply = (state: DiskState, command: ScsiCommand) => Uint8Array | Sense;
type Prepare = (state: DiskState, cdb: Cdb, into: BlockTransfer) => ScsiAnswer | number;

interface Entry {
  /** Carried out by whoever has the command. */
  prepare?: Prepare;
  handle?: Handler;
  kinds: readonly ('disk' | 'cdrom')[];
  /** Answered without a medium. */
  withoutMedium: boolean;
}

/** Longest data of a command that is not a READ or a WRITE, bytes, as in QEMU. */
const MOST_DATA = 65536;

/**
 * An answer that is a block of data. As QEMU's disk does, whatever it is shorter than the allocation length is filled up with
 * zeroes, and counts as moved.
 */
function data(reply: Reply): Handler {
  return (state, command) => {
    const bytes = reply(state, command);
    if (!(bytes instanceof Uint8Array)) return refuse(bytes);
    const whole = new Uint8Array(transferBytes(command.cdb, state.blockSize, deviceType(state.options.kind)));
    whole.set(bytes.subarray(0, whole.length));
    return good(scatter(whole, command.dataIn));
  };
}

const both = ['disk', 'cdrom'] as const;
const entry = (handle: Handler, kinds: Entry['kinds'] = both, withoutMedium = false): Entry => ({
  handle,
  kinds,
  withoutMedium,
});
const transfer = (prepare: Prepare): Entry => ({ prepare, kinds: both, withoutMedium: false });
const answer = (reply: Reply, withoutMedium = false): Entry => entry(data(reply), both, withoutMedium);
/** SPC-2 reservations: accepted, as QEMU does, since there is one initiator; third-party ones are refused. */
const reserveRelease = (thirdParty: number): Handler => {
  return (state, command) =>
    (command.cdb.bytes[1] & thirdParty) === 0
      ? data(() => new Uint8Array(0))(state, command)
      : refuse(SENSE.invalidField);
};
const read = transfer(prepareRead);
const write = transfer(prepareWrite);
const verify = entry(verifyBlocks);
const synchronize = transfer(prepareFlush);
const same = entry(writeSame);

const COMMANDS = new Map<number, Entry>([
  [OPCODE.testUnitReady, entry(() => good())],
  [OPCODE.requestSense, answer(requestSense, true)],
  [
    OPCODE.formatUnit,
    entry((_, { cdb }) => ((cdb.bytes[1] & 16) === 0 ? good() : refuse(SENSE.invalidField))),
  ],
  [OPCODE.inquiry, answer((state, { cdb }) => inquiry(state, cdb), true)],
  [OPCODE.modeSense6, answer((state, { cdb }) => modeSense(state, cdb), true)],
  [OPCODE.modeSense10, answer((state, { cdb }) => modeSense(state, cdb), true)],
  [OPCODE.modeSelect6, entry(modeSelect)],
  [OPCODE.modeSelect10, entry(modeSelect)],
  [OPCODE.reserve6, entry(reserveRelease(1), both, true)],
  [OPCODE.release6, entry(reserveRelease(1), both, true)],
  [OPCODE.reserve10, entry(reserveRelease(3), both, true)],
  [OPCODE.release10, entry(reserveRelease(3), both, true)],
  [OPCODE.startStopUnit, entry((state, { cdb }) => startStop(state, cdb), both, true)],
  [OPCODE.preventAllowMediumRemoval, entry(preventAllow, both, true)],
  [OPCODE.readCapacity10, answer((state, { cdb }) => readCapacity10(state, cdb))],
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
  [OPCODE.unmap, entry(unmap)],
  [OPCODE.writeSame10, same],
  [OPCODE.writeSame16, same],
  [OPCODE.persistentReserveIn, entry((state, command) => state.reservations.in(command), ['disk'])],
  [OPCODE.persistentReserveOut, entry(persistentReserveOut, ['disk'])],
  [OPCODE.maintenanceIn, entry(maintenanceIn, both, true)],
  // A disk has no table of contents; QEMU's answers all the same, and these four refuse the field, not the command.
  [OPCODE.readToc, answer((state, { cdb }) => readToc(state, cdb))],
  [OPCODE.getConfiguration, answer((state) => getConfiguration(state), true)],
  [OPCODE.getEventStatusNotification, answer((state, { cdb }) => getEventStatus(state, cdb), true)],
  [OPCODE.mechanismStatus, answer((state) => mechanismStatus(state), true)],
  [OPCODE.readDiscInformation, answer((state, { cdb }) => readDiscInformation(state, cdb))],
  [OPCODE.readDvdStructure, answer((state, { cdb }) => readDvdStructure(state, cdb))],
]);

/** Commands that do not report and do not clear a pending unit attention (SAM-5 section 5.14). */
const IGNORES_ATTENTION: ReadonlySet<number> = new Set([
  OPCODE.inquiry,
  OPCODE.requestSense,
  OPCODE.getConfiguration,
  OPCODE.getEventStatusNotification,
]);
const PERSISTENT_ATTENTION = {
  preempted: SENSE.reservationsPreempted,
  released: SENSE.reservationsReleased,
  registration: SENSE.registrationsPreempted,
} as const;

export class ScsiDisk implements LogicalUnit {
  readonly type: number;
  readonly state: DiskState;
  readonly #transfer = blockTransfer();
  readonly #drive: RemovableDrive;

  constructor(options: ScsiDiskOptions) {
    const state = new DiskState(options);
    this.state = state;
    this.#drive = removableDrive(state);
    this.type = deviceType(options.kind);
  }

  get node(): BlockNode | undefined {
    return this.state.medium;
  }
  get blockSize(): number {
    return this.state.blockSize;
  }
  get lastSense(): Sense | undefined {
    return this.state.lastSense;
  }
  set lastSense(sense: Sense | undefined) {
    this.state.lastSense = sense;
  }

  execute(command: ScsiCommand): Maybe<ScsiAnswer> {
    const { state } = this;
    const { opcode } = command.cdb;
    if (!IGNORES_ATTENTION.has(opcode)) {
      const attention = state.take(command.initiator);
      if (attention !== undefined) {
        return refuse(attention);
      }
    }
    const prepared = this.prepare(command.cdb, command.initiator, this.#transfer);
    if (typeof prepared !== 'number') return prepared;
    if (prepared === PREPARED.run) return this.run(command);
    return this.#guarded(opcode, () => carryOut(state, { ...this.#transfer }, command));
  }

  prepare(cdb: Cdb, initiator: string, into: BlockTransfer): ScsiAnswer | number {
    const { state } = this;
    const known = COMMANDS.get(cdb.opcode);
    if (known?.withoutMedium !== true && !state.ready) return refuse(SENSE.noMedium);
    if (known?.prepare === undefined && transferBytes(cdb, state.blockSize, this.type) > MOST_DATA) {
      return refuse(SENSE.invalidField);
    }
    if (known === undefined || !known.kinds.includes(state.options.kind)) return refuse(SENSE.invalidOpcode);
    if (state.reservations.blocks(initiator, cdb.opcode)) return reservationConflict;
    return known.prepare?.(state, cdb, into) ?? PREPARED.run;
  }

  run(command: ScsiCommand): Maybe<ScsiAnswer>;
  run(command: ScsiCommand, into: BlockTransfer): Maybe<ScsiAnswer | number>;
  run(command: ScsiCommand, into?: BlockTransfer): Maybe<ScsiAnswer | number> {
    const { opcode } = command.cdb;
    const handle = COMMANDS.get(opcode)?.handle;
    return handle === undefined
      ? refuse(SENSE.invalidOpcode)
      : this.#guarded(opcode, () => handle(this.state, command, into));
  }

  #guarded<T>(opcode: number, work: () => Maybe<T>): Maybe<T | ScsiAnswer> {
    try {
      const done = work();
      return isPromise(done) ? done.catch((error: unknown) => this.failed(error, opcode)) : done;
    } catch (error) {
      return this.failed(error, opcode);
    }
  }

  failed(error: unknown, opcode: number): ScsiAnswer {
    return { ...refuse(senseOf(error, opcode)), failure: error };
  }

  reset(): void {
    this.state.trayLocked = false;
    this.state.trayOpen = false;
    this.state.attentionForAll(SENSE.reset);
  }

  get listener(): UnitListener | undefined {
    return this.state.listener;
  }
  set listener(listener: UnitListener | undefined) {
    this.state.listener = listener;
  }
  get onErrors(): OnErrors {
    return this.state.options;
  }
  get drive(): RemovableDrive | undefined {
    return this.state.options.removable ? this.#drive : undefined;
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
  const { code, context } = error instanceof PlatterError ? error : { code: '', context: {} };
  const { errno } = context;
  if (errno === 'ENOSPC' || code === 'storage.no-space') {
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

function serviceActionIn(state: DiskState, command: ScsiCommand): Maybe<ScsiAnswer | number> {
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

function maintenanceIn(state: DiskState, command: ScsiCommand): Maybe<ScsiAnswer | number> {
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
    [OPCODE.persistentReserveOut, [0, 1, 2, 3, 4, 5, 6]],
  ]);
  const own = [...COMMANDS].filter(([, command]) => command.kinds.includes(state.options.kind));
  // The target answers REPORT LUNS in the unit's place (bus.ts).
  return [...own.map(([opcode]) => opcode), OPCODE.reportLuns].flatMap((opcode): SupportedCommand[] => {
    return actions.get(opcode)?.map((serviceAction) => ({ opcode, serviceAction })) ?? [{ opcode }];
  });
}

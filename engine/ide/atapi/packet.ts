/** The packet commands of QEMU's CD-ROM drive (hw/ide/atapi.c, `atapi_cmd_table`; MMC-6). */
import { OPCODE } from '../../scsi/opcode.ts';
import { SENSE } from '../../scsi/sense.ts';
import { E } from '../../trace/registry.ts';
import type { IdeDrive } from '../drive.ts';
import {
  getConfiguration,
  mechanismStatus,
  modeSense,
  readDiscInformation,
  readDvdStructure,
} from './disc.ts';
import { inquiry } from './inquiry.ts';
import {
  BLOCK,
  byteCountLimit,
  packetAttention,
  packetDone,
  packetFailed,
  RAW_BLOCK,
  reply,
  replyBlocks,
} from './reply.ts';
import { readToc } from './toc.ts';

interface PacketCommand {
  run: (drive: IdeDrive) => void;
  /** May run while a unit attention is pending (MMC-5, section 4.1.6.1). */
  anyAttention: boolean;
  /** Needs a medium. */
  medium: boolean;
  /** Moves data: the byte count limit must not be 0. `checked` does that by itself. */
  data: boolean;
}

const COMMANDS = new Map<number, PacketCommand>();

type Flag = 'attention' | 'medium' | 'data';

function define(opcode: number, run: PacketCommand['run'], ...flags: Flag[]): void {
  const has = (flag: Flag): boolean => flags.includes(flag);
  COMMANDS.set(opcode, { run, anyAttention: has('attention'), medium: has('medium'), data: has('data') });
}

export const mediumPresent = (drive: IdeDrive): boolean => !drive.trayOpen && drive.sectors > 0;
const blocksOf = (drive: IdeDrive): number => drive.sectors >>> 2;

/** Whether the guest's byte count limit allows data; the command is aborted otherwise (ACS-3, section 7.17.6.49). */
function mayMove(drive: IdeDrive): boolean {
  if (drive.packetDma || byteCountLimit(drive) !== 0) return true;
  drive.abort();
  return false;
}

/** All 12 bytes of the packet are in the drive's buffer. */
export function packetArrived(drive: IdeDrive): void {
  const opcode = drive.buffer[0];
  drive.emit(E.ide_atapi_cmd, drive.unit, opcode);
  const command = COMMANDS.get(opcode);
  const anyway = command?.anyAttention === true;
  if (drive.senseKey === SENSE.mediumChanged.key && !anyway) {
    packetAttention(drive);
    return;
  }
  if (!anyway && !drive.trayOpen && drive.node !== undefined && drive.changed > 0) {
    // Guests that do not ask for events learn of a new disc this way: first gone, then there.
    packetFailed(drive, drive.changed === 1 ? SENSE.noMedium : SENSE.mediumChanged);
    drive.changed = drive.changed === 1 ? 2 : 0;
    return;
  }
  if (command?.medium === true && (!mediumPresent(drive) || drive.node === undefined)) {
    packetFailed(drive, SENSE.noMedium);
    return;
  }
  if (command === undefined) packetFailed(drive, SENSE.invalidOpcode);
  else if (!command.data || mayMove(drive)) command.run(drive);
}

/** Whether blocks from `block` on are on the disc; answers the guest when they are not. */
function onDisc(drive: IdeDrive, block: number, count: number): boolean {
  const total = blocksOf(drive);
  if (block < total && count <= total - block) return true;
  packetFailed(drive, SENSE.lbaOutOfRange);
  return false;
}

function read(drive: IdeDrive, count: number): void {
  const block = drive.view.getUint32(2);
  if (count === 0) packetDone(drive);
  else if (onDisc(drive, block, count)) replyBlocks(drive, block, count, BLOCK);
}

/** READ CD: byte 9 says which parts of each block are wanted; all but "the data" and "everything" are refused. */
function readCd(drive: IdeDrive): void {
  const { buffer, view } = drive;
  const block = view.getUint32(2);
  const count = (buffer[6] << 16) | view.getUint16(7);
  const wanted = buffer[9] & 0xf8;
  if (count === 0) {
    packetDone(drive);
    return;
  }
  if (!onDisc(drive, block, count)) return;
  if (wanted === 0) packetDone(drive);
  else if (!mayMove(drive)) return;
  else if (wanted === 0x10) replyBlocks(drive, block, count, BLOCK);
  else if (wanted === 0xf8) replyBlocks(drive, block, count, RAW_BLOCK);
  else packetFailed(drive, SENSE.invalidField);
}

function readCapacity(drive: IdeDrive): void {
  drive.view.setUint32(0, blocksOf(drive) - 1);
  drive.view.setUint32(4, BLOCK);
  reply(drive, 8, 8);
}

function requestSense(drive: IdeDrive): void {
  const { buffer } = drive;
  const most = buffer[4];
  buffer.fill(0, 0, 18);
  buffer[0] = 0xf0;
  buffer[2] = drive.senseKey;
  buffer[7] = 10;
  buffer[12] = drive.asc;
  if (drive.senseKey === SENSE.mediumChanged.key) drive.senseKey = 0;
  reply(drive, 18, most);
}

/** Eject and load. */
function startStop(drive: IdeDrive): void {
  const flags = drive.buffer[4];
  const start = (flags & 1) !== 0;
  if ((flags & 0xf0) === 0 && (flags & 2) !== 0) {
    if (!start && !drive.trayOpen && drive.trayLocked) {
      const sense = drive.node === undefined ? SENSE.illegalRemovalPrevented : SENSE.notReadyRemovalPrevented;
      packetFailed(drive, sense);
      return;
    }
    drive.moveTray(!start);
  }
  packetDone(drive);
}

function preventRemoval(drive: IdeDrive): void {
  drive.trayLocked = (drive.buffer[4] & 1) !== 0;
  packetDone(drive);
}

function seek(drive: IdeDrive): void {
  if (onDisc(drive, drive.view.getUint32(2), 1)) packetDone(drive);
}

/** GET EVENT STATUS NOTIFICATION, MMC-6 section 6.7: media events, polled. */
function eventStatus(drive: IdeDrive): void {
  const { buffer, view } = drive;
  const most = view.getUint16(7);
  const wanted = buffer[4];
  if ((buffer[1] & 1) === 0) {
    packetFailed(drive, SENSE.invalidField);
    return;
  }
  const media = (wanted & (1 << MEDIA_CLASS)) !== 0;
  if (media) mediaEvent(drive);
  buffer[2] = media ? MEDIA_CLASS : 0x80;
  buffer[3] = 1 << MEDIA_CLASS;
  view.setUint16(0, media ? 4 : 0);
  reply(drive, media ? 8 : 4, most);
}

const MEDIA_CLASS = 4;
const EVENT = { none: 0, ejectRequested: 1, newMedia: 2 } as const;

function mediaEvent(drive: IdeDrive): void {
  let code: number = EVENT.none;
  if (!drive.trayOpen && drive.newMedia) {
    code = EVENT.newMedia;
    drive.newMedia = false;
  } else if (!drive.trayOpen && drive.ejectRequested) {
    code = EVENT.ejectRequested;
    drive.ejectRequested = false;
  }
  const state = drive.trayOpen ? 1 : drive.node === undefined ? 0 : 2;
  drive.buffer.set([code, state, 0, 0], 4);
}

define(OPCODE.testUnitReady, packetDone, 'medium');
define(OPCODE.requestSense, requestSense, 'attention', 'data');
define(OPCODE.inquiry, inquiry, 'attention', 'data');
define(OPCODE.startStopUnit, startStop);
define(OPCODE.preventAllowMediumRemoval, preventRemoval);
define(OPCODE.readCapacity10, readCapacity, 'medium', 'data');
define(OPCODE.read10, (drive) => read(drive, drive.view.getUint16(7)), 'medium', 'data');
define(OPCODE.seek10, seek, 'medium');
define(OPCODE.readToc, readToc, 'medium', 'data');
define(OPCODE.getConfiguration, getConfiguration, 'attention', 'data');
define(0x4a, eventStatus, 'attention', 'data');
define(OPCODE.readDiscInformation, readDiscInformation, 'medium', 'data');
define(OPCODE.modeSense10, modeSense, 'data');
define(OPCODE.read12, (drive) => read(drive, drive.view.getUint32(6)), 'medium', 'data');
define(OPCODE.readDvdStructure, readDvdStructure, 'medium', 'data');
define(0xbb, packetDone);
define(0xbd, mechanismStatus, 'data');
define(0xbe, readCd, 'medium');

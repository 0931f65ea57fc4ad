/** What the drive says of itself and of the disc: GET CONFIGURATION, MODE SENSE, disc information, DVD structures (hw/ide/atapi.c). */
import { SENSE, type Sense } from '../../scsi/sense.ts';
import type { IdeDrive } from '../drive.ts';
import { packetFailed, reply } from './reply.ts';

/** 80 minutes of CD in sectors of 512 bytes: what is larger is a DVD. */
const CD_MAX_SECTORS = (80 * 60 * 75 * 2048) / 512;
const PROFILE = { dvd: 0x10, cd: 0x08 } as const;
const MODE = { errorRecovery: 0x01, audio: 0x0e, capabilities: 0x2a } as const;
const MODE_HEADER = 8;
/** "Medium type" of QEMU's mode parameter header: no disc in a certain position. */
const MEDIUM_TYPE = 0x70;
/** kB/s of a CD at fourfold speed. */
const SPEED = 704;
const DVD_PAGE = 2048;
const BUFFER_BYTES = 256 * 512 + 4;
/** The longest answer of GET CONFIGURATION. */
const SECTOR = 512;

const loaded = (drive: IdeDrive): boolean => !drive.trayOpen && drive.sectors > 0;
const isDvd = (drive: IdeDrive): boolean => loaded(drive) && drive.sectors > CD_MAX_SECTORS;
const isCd = (drive: IdeDrive): boolean => loaded(drive) && drive.sectors <= CD_MAX_SECTORS;

/** MMC-6, section 6.6: QEMU has the profile list only. */
export function getConfiguration(drive: IdeDrive): void {
  const { buffer, view } = drive;
  if (buffer[2] !== 0 || buffer[3] !== 0) {
    packetFailed(drive, SENSE.invalidField);
    return;
  }
  const most = Math.min(view.getUint16(7), SECTOR);
  buffer.fill(0, 0, most);
  const current = isDvd(drive) ? PROFILE.dvd : isCd(drive) ? PROFILE.cd : 0;
  if (current !== 0) view.setUint16(6, current);
  // Version 0, persistent and current.
  buffer[10] = 3;
  let length = 12;
  for (const profile of [PROFILE.dvd, PROFILE.cd]) {
    view.setUint16(length, profile);
    buffer[length + 2] = view.getUint16(6) === profile ? 1 : 0;
    buffer[11] += 4;
    length += 4;
  }
  view.setUint32(0, length - 4);
  reply(drive, length, most);
}

/** MODE SENSE(10). Bytes that QEMU leaves alone keep what the drive's buffer held. */
export function modeSense(drive: IdeDrive): void {
  const { buffer, view } = drive;
  const most = view.getUint16(7);
  const kind = buffer[2] >> 6;
  if (kind === 3) {
    packetFailed(drive, SENSE.savingParamsNotSupported);
    return;
  }
  const length = kind === 0 ? modePage(drive, buffer[2] & 0x3f) : 0;
  if (length === 0) {
    packetFailed(drive, SENSE.invalidField);
    return;
  }
  view.setUint16(0, length - 2);
  buffer.set([MEDIUM_TYPE, 0, 0, 0, 0, 0], 2);
  buffer[MODE_HEADER + 1] = length - MODE_HEADER - 2;
  reply(drive, length, most);
}

/** Writes the page behind the header; the length of both, or 0 for a page that there is not. */
function modePage(drive: IdeDrive, page: number): number {
  const { buffer, view } = drive;
  const at = MODE_HEADER;
  switch (page) {
    case MODE.errorRecovery:
      // Recovery: no retries' limit is given (5).
      buffer.set([page, 0, 0, 5, 0, 0, 0, 0], at);
      return at + 8;
    case MODE.audio:
      buffer[at] = page;
      for (const volume of [17, 19, 21, 23]) buffer[volume] = 0;
      return at + 16;
    case MODE.capabilities:
      buffer.fill(0, at, at + 22);
      buffer.set([page, 0, 0x3b, 0, 0x71, 0x60, 0x29 | (drive.trayLocked ? 2 : 0)], at);
      view.setUint16(at + 8, SPEED);
      view.setUint16(at + 10, 2);
      view.setUint16(at + 12, 512);
      view.setUint16(at + 14, SPEED);
      return at + 22;
    default:
      return 0;
  }
}

/** MMC-6, section 6.21: one session, finalised. */
export function readDiscInformation(drive: IdeDrive): void {
  const { buffer, view } = drive;
  const most = view.getUint16(7);
  if ((buffer[1] & 7) !== 0) {
    packetFailed(drive, SENSE.invalidField);
    return;
  }
  buffer.fill(0, 0, 34);
  buffer.set([0, 32, 0x0e, 1, 1, 1, 1, 0x20]);
  reply(drive, 34, most);
}

export function mechanismStatus(drive: IdeDrive): void {
  const most = drive.view.getUint16(8);
  drive.buffer.set([0, 0, 0, 0, 0, 1, 0, 0]);
  reply(drive, 8, most);
}

/** READ DVD STRUCTURE (MMC-6, section 6.22): formats 0, 1, 4 and the list of them. */
export function readDvdStructure(drive: IdeDrive): void {
  const { buffer, view } = drive;
  const media = buffer[1];
  const format = buffer[7];
  const most = view.getUint16(8);
  if (format < 0xff && !isDvd(drive)) {
    packetFailed(drive, isCd(drive) ? SENSE.incompatibleMedium : SENSE.invalidField);
    return;
  }
  buffer.fill(0, 0, Math.min(most, BUFFER_BYTES));
  const known = format < 0x80 || format === 0xff;
  const length = known && media === 0 ? dvdStructure(drive, format) : SENSE.invalidField;
  if (typeof length === 'number') reply(drive, length, most);
  else packetFailed(drive, length);
}

/** Writes the structure; its length with the 4 bytes in front. */
function dvdStructure(drive: IdeDrive, format: number): number | Sense {
  const { buffer, view } = drive;
  switch (format) {
    case 0: {
      if (buffer[6] !== 0) return SENSE.invalidField;
      const last = (drive.sectors >>> 2) - 1;
      buffer.set([1, 0x0f, 1, 0], 4);
      view.setUint32(8, 0);
      view.setUint32(12, last);
      view.setUint32(16, last);
      view.setUint16(0, DVD_PAGE + 2);
      return DVD_PAGE + 4;
    }
    case 1:
      buffer[4] = buffer[5] = 0;
      view.setUint16(0, 6);
      return 8;
    case 4:
      view.setUint16(0, DVD_PAGE + 2);
      return DVD_PAGE + 4;
    case 0xff:
      [0, 1, 3, 4].forEach((listed, i) => {
        buffer.set([listed, 0x40], 4 + i * 4);
        view.setUint16(6 + i * 4, [DVD_PAGE + 4, 8, 188 + 4, DVD_PAGE + 4][i]);
      });
      view.setUint16(0, 18);
      return 20;
    default:
      return SENSE.invalidField;
  }
}

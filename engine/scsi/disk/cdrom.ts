/**
 * The commands that a CD/DVD drive knows (MMC-6): READ TOC, GET CONFIGURATION, GET EVENT STATUS NOTIFICATION, MECHANISM STATUS, READ
 * DISC INFORMATION, READ DVD STRUCTURE. The answers are those of QEMU's `scsi-cd` (hw/scsi/scsi-disk.c, hw/block/cdrom.c).
 */
import { SENSE, type Sense } from '../sense.ts';
import type { Cdb } from '../cdb.ts';
import type { DiskState } from './state.ts';

/** 80 minutes of CD, in bytes: what is larger is a DVD. */
const CD_MAX_BYTES = 80 * 60 * 75 * 2048;
const LEAD_OUT = 0xaa;
/** Data track, no copy permitted bit clear: ADR 1, CONTROL 4. */
const DATA_TRACK = 0x14;
const FRAMES_PER_SECOND = 75;
/** MSF addresses start two seconds before block 0. */
const MSF_OFFSET = 2 * FRAMES_PER_SECOND;

/** MMC-6, table 287. */
const MEDIA_EVENT = { none: 0, ejectRequested: 1, newMedia: 2 } as const;
const PROFILE = { dvdRom: 0x0010, cdRom: 0x0008 } as const;

const isCdrom = (state: DiskState): boolean => state.options.kind === 'cdrom';

/** READ TOC/PMA/ATIP, MMC-6 section 6.25: one data track; formats 0 (TOC), 1 (session information) and 2 (full TOC). */
export function readToc(state: DiskState, cdb: Cdb): Uint8Array | Sense {
  const msf = (cdb.bytes[1] & 2) !== 0;
  const format = cdb.bytes[2] & 0x0f;
  const startTrack = cdb.bytes[6];
  switch (format) {
    case 0:
      return startTrack > 1 && startTrack !== LEAD_OUT
        ? SENSE.invalidField
        : tableOfContents(state, msf, startTrack);
    case 1:
      return Uint8Array.of(0, 0x0a, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
    case 2:
      return fullToc(state, msf);
    default:
      return SENSE.invalidField;
  }
}

function tableOfContents(state: DiskState, msf: boolean, startTrack: number): Uint8Array {
  const track = (number: number, lba: number): number[] => [0, DATA_TRACK, number, 0, ...address(lba, msf)];
  const tracks = [...(startTrack <= 1 ? track(1, 0) : []), ...track(LEAD_OUT, state.blocks).with(1, 0x16)];
  return Uint8Array.of(0, tracks.length + 2, 1, 1, ...tracks);
}

/** Format 2: lead-in points A0h, A1h and A2h, then the track. Points with an address carry it from byte 7 on. */
function fullToc(state: DiskState, msf: boolean): Uint8Array {
  const point = (number: number, rest: number[]): number[] => [1, DATA_TRACK, 0, number, 0, 0, 0, ...rest];
  const points = [
    ...point(0xa0, [0, 1, 0, 0]),
    ...point(0xa1, [0, 1, 0, 0]),
    ...point(0xa2, address(state.blocks, msf)),
    ...point(1, address(0, msf)),
  ];
  return Uint8Array.of(0, points.length + 2, 1, 1, ...points);
}

function address(lba: number, msf: boolean): number[] {
  if (!msf) {
    return [(lba >>> 24) & 0xff, (lba >>> 16) & 0xff, (lba >>> 8) & 0xff, lba & 0xff];
  }
  const frames = lba + MSF_OFFSET;
  const seconds = Math.floor(frames / FRAMES_PER_SECOND);
  return [0, Math.floor(seconds / 60) & 0xff, seconds % 60, frames % FRAMES_PER_SECOND];
}

const isDvd = (state: DiskState): boolean => state.bytes > CD_MAX_BYTES;

/** GET CONFIGURATION, MMC-6 section 6.6: the profile list, the core and the removable medium features. */
export function getConfiguration(state: DiskState): Uint8Array | Sense {
  if (!isCdrom(state)) return SENSE.invalidField;
  const current = !state.ready ? 0 : isDvd(state) ? PROFILE.dvdRom : PROFILE.cdRom;
  const header = [0, 0, 0, 0, 0, 0, current >> 8, current & 0xff];
  const profile = (code: number): number[] => [code >> 8, code & 0xff, code === current ? 1 : 0, 0];
  // Feature code, version and persistence, additional length.
  const profileList = [0, 0, 0x03, 8, ...profile(PROFILE.dvdRom), ...profile(PROFILE.cdRom)];
  // Version 2; the physical interface is SCSI (1), DBE.
  const core = [0, 1, 0x0b, 8, 0, 0, 0, 1, 1, 0, 0, 0];
  // Version 2; tray, load, eject, lock.
  const removable = [0, 3, 0x0b, 4, 0x39, 0, 0, 0];
  const data = Uint8Array.from([...header, ...profileList, ...core, ...removable]);
  new DataView(data.buffer).setUint32(0, data.length - 4);
  return data;
}

/** GET EVENT STATUS NOTIFICATION, MMC-6 section 6.7, polled only; the media class is the one there is. */
export function getEventStatus(state: DiskState, cdb: Cdb): Uint8Array | Sense {
  const polled = (cdb.bytes[1] & 1) !== 0;
  if (!isCdrom(state) || !polled) {
    return SENSE.invalidField;
  }
  const mediaClass = 4;
  const supported = 1 << mediaClass;
  if ((cdb.bytes[4] & supported) === 0) {
    return Uint8Array.of(0, 0, 0x80, supported); // NEA: no event of a class that was asked for
  }
  if (state.trayOpen) return Uint8Array.of(0, 4, mediaClass, supported, 0, 1, 0, 0);
  const code = mediaEventCode(state);
  return Uint8Array.of(0, 4, mediaClass, supported, code, state.inserted ? 2 : 0, 0, 0);
}

/** The event that is told now; it is gone then. */
function mediaEventCode(state: DiskState): number {
  if (state.mediaEvent) {
    state.mediaEvent = false;
    return MEDIA_EVENT.newMedia;
  }
  const code = state.ejectRequested ? MEDIA_EVENT.ejectRequested : MEDIA_EVENT.none;
  state.ejectRequested = false;
  return code;
}

/** MECHANISM STATUS, MMC-6 section 6.10: one slot, nothing moving. */
export function mechanismStatus(state: DiskState): Uint8Array | Sense {
  return isCdrom(state) ? Uint8Array.of(0, 0, 0, 0, 0, 1, 0, 0) : SENSE.invalidField;
}

/** READ DISC INFORMATION, MMC-6 section 6.21, data type 0: one finished session with one track. */
export function readDiscInformation(state: DiskState, cdb: Cdb): Uint8Array | Sense {
  if (!isCdrom(state) || (cdb.bytes[1] & 7) !== 0) return SENSE.invalidField;
  const data = new Uint8Array(34);
  data.set([0, 32, 0x0e, 1, 1, 1, 1, 0x20]);
  return data;
}

/** Bytes of the structures that READ DVD STRUCTURE knows, by format. */
const DVD_STRUCTURES = new Map([
  [0, 2052],
  [1, 8],
  [3, 192],
  [4, 2052],
]);

/** READ DVD STRUCTURE, MMC-6 section 6.22: physical format, copyright, manufacturer, and which there are. */
export function readDvdStructure(state: DiskState, cdb: Cdb): Uint8Array | Sense {
  const media = cdb.bytes[1];
  const layer = cdb.bytes[6];
  const format = cdb.bytes[7];
  if (!isCdrom(state) || media !== 0) return SENSE.invalidField;
  if (format === 0xff) {
    const list = [...DVD_STRUCTURES].flatMap(([code, size]) => [code, 0x40, size >> 8, size & 0xff]);
    return Uint8Array.of(0, list.length + 2, 0, 0, ...list);
  }
  if (!isDvd(state)) return SENSE.incompatibleMedium;
  const size = DVD_STRUCTURES.get(format);
  // No burst cutting area, one layer.
  if (size === undefined || format === 3 || (format === 0 && layer !== 0)) return SENSE.invalidField;
  const data = new Uint8Array(size);
  const view = new DataView(data.buffer);
  view.setUint16(0, size - 2);
  if (format === 0) {
    data.set([1, 0x0f, 1, 0], 4);
    view.setUint32(12, state.blocks - 1);
    view.setUint32(16, state.blocks - 1);
  }
  return data;
}

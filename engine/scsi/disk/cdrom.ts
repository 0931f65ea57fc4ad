/** The commands that only a CD/DVD drive knows (MMC-6): READ TOC, GET CONFIGURATION, GET EVENT STATUS NOTIFICATION. */
import { SENSE, type Sense } from '../sense.ts';
import type { Cdb } from '../cdb.ts';
import type { DiskState } from './state.ts';

/** 80 minutes of CD, in blocks of 2048 bytes: what is larger is a DVD. */
const CD_MAX_BLOCKS = (80 * 60 * 75 * 2048) / 2048;
const LEAD_OUT = 0xaa;
/** Data track, no copy permitted bit clear: ADR 1, CONTROL 4. */
const DATA_TRACK = 0x14;
const FRAMES_PER_SECOND = 75;
/** MSF addresses start two seconds before block 0. */
const MSF_OFFSET = 2 * FRAMES_PER_SECOND;

const PROFILE = { dvdRom: 0x0010, cdRom: 0x0008 } as const;

/** READ TOC/PMA/ATIP, MMC-6 section 6.25: one data track; formats 0 (TOC) and 1 (session information). */
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
    default:
      return SENSE.invalidField;
  }
}

function tableOfContents(state: DiskState, msf: boolean, startTrack: number): Uint8Array {
  const track = (number: number, lba: number): number[] => [0, DATA_TRACK, number, 0, ...address(lba, msf)];
  const tracks = [...(startTrack <= 1 ? track(1, 0) : []), ...track(LEAD_OUT, state.blocks).with(1, 0x16)];
  return Uint8Array.of(0, tracks.length + 2, 1, 1, ...tracks);
}

function address(lba: number, msf: boolean): number[] {
  if (!msf) {
    return [(lba >>> 24) & 0xff, (lba >>> 16) & 0xff, (lba >>> 8) & 0xff, lba & 0xff];
  }
  const frames = lba + MSF_OFFSET;
  const seconds = Math.floor(frames / FRAMES_PER_SECOND);
  return [0, Math.floor(seconds / 60) & 0xff, seconds % 60, frames % FRAMES_PER_SECOND];
}

/** GET CONFIGURATION, MMC-6 section 6.6: the profile list, the core and the removable medium features. */
export function getConfiguration(state: DiskState): Uint8Array {
  const current = !state.ready ? 0 : state.blocks > CD_MAX_BLOCKS ? PROFILE.dvdRom : PROFILE.cdRom;
  const header = [0, 0, 0, 0, 0, 0, current >> 8, current & 0xff];
  const profile = (code: number): number[] => [code >> 8, code & 0xff, code === current ? 1 : 0, 0];
  // Feature code, version and persistence, additional length.
  const profileList = [0, 0, 0x03, 8, ...profile(PROFILE.dvdRom), ...profile(PROFILE.cdRom)];
  // Version 2; the physical interface is ATAPI (1), DBE.
  const core = [0, 1, 0x0b, 8, 0, 0, 0, 1, 1, 0, 0, 0];
  // Tray, eject, lock.
  const removable = [0, 3, 0x03, 4, 0x29, 0, 0, 0];
  const data = Uint8Array.from([...header, ...profileList, ...core, ...removable]);
  new DataView(data.buffer).setUint32(0, data.length - 4);
  return data;
}

/** GET EVENT STATUS NOTIFICATION, MMC-6 section 6.7, polled only; the media class is the one there is. */
export function getEventStatus(state: DiskState, cdb: Cdb): Uint8Array | Sense {
  const polled = (cdb.bytes[1] & 1) !== 0;
  if (!polled) {
    return SENSE.invalidField;
  }
  const mediaClass = 4;
  const supported = 1 << mediaClass;
  if ((cdb.bytes[4] & supported) === 0) {
    return Uint8Array.of(0, 2, 0x80, supported); // NEA: no event of a class that was asked for
  }
  const code = { none: 0, 'eject-request': 1, 'new-media': 2 }[state.mediaEvent];
  state.mediaEvent = 'none';
  const presence = (state.trayOpen ? 1 : 0) | (state.options.node.virtualSize > 0 ? 2 : 0);
  return Uint8Array.of(0, 6, mediaClass, supported, code, presence, 0, 0);
}

/** The mode pages of a disk and a CD-ROM: current and changeable values, without the two header bytes (SPC-4 section 7.5). */
import type { DiskState } from './state.ts';

export const MODE_PAGE = {
  errorRecovery: 0x01,
  rigidGeometry: 0x04,
  flexibleGeometry: 0x05,
  caching: 0x08,
  control: 0x0a,
  audioControl: 0x0e,
  capabilities: 0x2a,
  all: 0x3f,
} as const;

/** WCE of the caching page: the only bit that MODE SELECT may change on a disk. */
const WCE = 0x04;

/**
 * The body of one page.
 * @param changeable whether the mask of changeable bits is wanted instead of the current values.
 * @returns undefined where this kind of device has no such page.
 */
export function modePage(state: DiskState, page: number, changeable: boolean): Uint8Array | undefined {
  const disk = state.options.kind === 'disk';
  switch (page) {
    case MODE_PAGE.errorRecovery:
      return errorRecovery(disk, changeable);
    case MODE_PAGE.rigidGeometry:
      return disk ? rigidGeometry(state, changeable) : undefined;
    case MODE_PAGE.flexibleGeometry:
      return disk ? flexibleGeometry(state, changeable) : undefined;
    case MODE_PAGE.caching: {
      const body = new Uint8Array(0x12);
      body[0] = changeable || state.writeCache ? WCE : 0;
      return body;
    }
    case MODE_PAGE.control:
      return control(changeable);
    case MODE_PAGE.audioControl:
      return disk ? undefined : new Uint8Array(14);
    case MODE_PAGE.capabilities:
      return disk ? undefined : capabilities(state, changeable);
    default:
      return undefined;
  }
}

/** Takes over what MODE SELECT sent; the caller has checked that only changeable bits differ. */
export function applyModePage(state: DiskState, page: number, body: Uint8Array): void {
  if (page === MODE_PAGE.caching) {
    state.writeCache = (body[0] & WCE) !== 0;
  }
}

function errorRecovery(disk: boolean, changeable: boolean): Uint8Array {
  const body = new Uint8Array(10);
  const awre = 0x80;
  if (changeable) {
    body[0] = disk ? 0 : awre;
  } else {
    body[0] = awre;
    body[1] = disk ? 0 : 0x20; // read retry count
  }
  return body;
}

/** SPC-4 section 7.5.8: fixed-format sense data, commands may be reordered, nothing can be changed. QEMU has no such page. */
function control(changeable: boolean): Uint8Array {
  const body = new Uint8Array(10);
  if (!changeable) body[1] = 0x10;
  return body;
}

function rigidGeometry({ options }: DiskState, changeable: boolean): Uint8Array {
  const body = new Uint8Array(0x16);
  if (changeable) {
    return body;
  }
  const view = new DataView(body.buffer);
  // Cylinders, and the cylinders where write precompensation and reduced write current start: never.
  for (const at of [0, 4, 7]) {
    view.setUint8(at, options.cylinders >> 16);
    view.setUint16(at + 1, options.cylinders & 0xffff);
  }
  view.setUint8(3, options.heads);
  view.setUint16(10, 200); // step rate, ns
  body.fill(0xff, 12, 15); // landing zone cylinder
  view.setUint16(18, 5400); // rotation rate
  return body;
}

function flexibleGeometry({ options, blockSize }: DiskState, changeable: boolean): Uint8Array {
  const body = new Uint8Array(0x1e);
  if (changeable) {
    return body;
  }
  const view = new DataView(body.buffer);
  view.setUint16(0, 5000); // transfer rate, kbit/s
  view.setUint8(2, options.heads);
  view.setUint8(3, options.sectors);
  view.setUint8(4, blockSize >> 8);
  for (const at of [6, 8, 10]) {
    view.setUint16(at, options.cylinders & 0xffff);
  }
  view.setUint16(12, 1); // step rate, 100 µs
  view.setUint8(14, 1); // step pulse width, µs
  view.setUint16(15, 1); // head settle delay, 100 µs
  view.setUint8(17, 1); // motor on delay, 0.1 s
  view.setUint8(18, 1); // motor off delay, 0.1 s
  view.setUint16(26, 5400); // rotation rate
  return body;
}

/** MM capabilities and mechanical status (MMC, obsolete but asked for by every guest). */
function capabilities(state: DiskState, changeable: boolean): Uint8Array {
  const body = new Uint8Array(0x14);
  if (changeable) {
    return body;
  }
  /** kB/s of single speed. */
  const single = 176;
  const view = new DataView(body.buffer);
  view.setUint8(0, 0x3b); // reads CD-R, CD-RW, DVD
  view.setUint8(2, 0x7f); // audio, composite, digital out, mode 2 forms, multi-session
  view.setUint8(3, 0xff); // CD-DA, sub-channels, C2 pointers, ISRC, UPC, bar code
  view.setUint8(4, 0x2d | (state.trayLocked ? 2 : 0)); // lockable, tray, eject
  view.setUint16(6, 50 * single); // obsolete: maximum read speed
  view.setUint16(8, 2); // volume levels
  view.setUint16(10, 2048); // buffer, KiB
  view.setUint16(12, 16 * single);
  view.setUint16(16, 16 * single);
  view.setUint16(18, 16 * single);
  return body;
}

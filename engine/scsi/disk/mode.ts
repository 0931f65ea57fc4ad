/** MODE SENSE and MODE SELECT, 6 and 10 bytes (SPC-4 sections 6.9 to 6.12). */
import { gather } from '../segments.ts';
import { good, refuse, type ScsiAnswer, type ScsiCommand } from '../command.ts';
import type { Cdb } from '../cdb.ts';
import type { Maybe } from '../../maybe.ts';
import { andThen } from '../../maybe.ts';
import { OPCODE } from '../opcode.ts';
import { SENSE, type Sense } from '../sense.ts';
import { applyModePage, MODE_PAGE, modePage } from './mode-pages.ts';
import type { DiskState } from './state.ts';

const WRITE_PROTECTED = 0x80;
const DPOFUA = 0x10;

/** The answer's bytes, or the sense it is refused with. */
export function modeSense(state: DiskState, cdb: Cdb): Uint8Array | Sense {
  const control = cdb.bytes[2] >> 6;
  const page = cdb.bytes[2] & 0x3f;
  if (control === 3) {
    return SENSE.savingParamsNotSupported;
  }
  const pages = modePages(state, page, control === 1);
  if (pages === undefined) {
    return SENSE.invalidField;
  }
  const six = cdb.opcode === OPCODE.modeSense6;
  const headerLength = six ? 4 : 8;
  const descriptor = blockDescriptor(state, (cdb.bytes[1] & 0x08) !== 0);
  const data = new Uint8Array(headerLength + descriptor.length + pages.length);
  const view = new DataView(data.buffer);
  if (six) {
    view.setUint8(0, data.length - 1);
    view.setUint8(2, deviceParameter(state));
    view.setUint8(3, descriptor.length);
  } else {
    view.setUint16(0, data.length - 2);
    view.setUint8(3, deviceParameter(state));
    view.setUint16(6, descriptor.length);
  }
  data.set(descriptor, headerLength);
  data.set(pages, headerLength + descriptor.length);
  return data;
}

function deviceParameter({ options, readOnly }: DiskState): number {
  return options.kind === 'disk' ? (options.dpofua ? DPOFUA : 0) | (readOnly ? WRITE_PROTECTED : 0) : 0;
}

/** What page code 3Fh stands for: those that QEMU has. The control page is answered when it is asked for by its own code. */
const ALL_PAGES = Array.from({ length: MODE_PAGE.all }, (_, code) => code).filter(
  (code) => code !== MODE_PAGE.control,
);

function modePages(state: DiskState, page: number, changeable: boolean): Uint8Array | undefined {
  const wanted = page === MODE_PAGE.all ? ALL_PAGES : [page];
  const bytes: number[] = [];
  for (const code of wanted) {
    const body = modePage(state, code, changeable);
    if (body !== undefined) {
      bytes.push(code, body.length, ...body);
    } else if (page !== MODE_PAGE.all) {
      return undefined;
    }
  }
  return Uint8Array.from(bytes);
}

/** A short block descriptor (SBC-3 section 6.5.2.2); a CD-ROM has none (MMC). */
function blockDescriptor(state: DiskState, disabled: boolean): Uint8Array {
  if (disabled || state.options.kind === 'cdrom' || state.blocks === 0) {
    return new Uint8Array(0);
  }
  const data = new Uint8Array(8);
  const view = new DataView(data.buffer);
  view.setUint32(0, state.blocks > 0xff_ffff ? 0 : state.blocks);
  view.setUint16(5, state.blockSize >> 8);
  return data;
}

/** MODE SELECT: either every page is taken over or none. */
export function modeSelect(state: DiskState, command: ScsiCommand): Maybe<ScsiAnswer> {
  const { cdb } = command;
  if (cdb.transfer === 0) return good();
  const saved = (cdb.bytes[1] & 0x01) !== 0;
  const pageFormat = (cdb.bytes[1] & 0x10) !== 0;
  if (saved || !pageFormat) {
    return refuse(SENSE.invalidField);
  }
  const list = gather(command.dataOut, cdb.transfer);
  const six = cdb.opcode === OPCODE.modeSelect6;
  const headerLength = six ? 4 : 8;
  if (list.length < headerLength) {
    return refuse(SENSE.invalidParamLength);
  }
  const descriptorLength = six ? list[3] : (list[6] << 8) | list[7];
  if (list.length < headerLength + descriptorLength) {
    return refuse(SENSE.invalidParamLength);
  }
  if (descriptorLength !== 0 && descriptorLength !== 8) {
    return refuse(SENSE.invalidParam);
  }
  const newBlockSize = descriptorLength === 0 ? 0 : blockLength(list, headerLength);
  const pages = parsePages(state, list.subarray(headerLength + descriptorLength));
  if (!Array.isArray(pages)) {
    return refuse(pages);
  }
  if (newBlockSize > 0) state.blockSize = newBlockSize;
  for (const { page, body } of pages) {
    applyModePage(state, page, body);
  }
  const done = good(list.length);
  // Turning the write cache off promises that what was written is stable.
  const { medium } = state;
  return state.writeCache || medium === undefined ? done : andThen(medium.flush(), () => done);
}

/**
 * BLOCK LENGTH of the block descriptor at `at`: multiples of 512 that one byte holds, else 0 for "as it was". Never less than 512,
 * by which everything divides (CVE-2023-42467).
 */
function blockLength(list: Uint8Array, at: number): number {
  const bytes = list[at + 5] * 65536 + list[at + 6] * 256 + list[at + 7];
  return (bytes & ~0xfe00) === 0 ? bytes : 0;
}

function parsePages(state: DiskState, list: Uint8Array): { page: number; body: Uint8Array }[] | Sense {
  const pages: { page: number; body: Uint8Array }[] = [];
  let at = 0;
  while (at < list.length) {
    const page = list[at] & 0x3f;
    const long = (list[at] & 0x40) !== 0;
    const headerLength = long ? 4 : 2;
    if (list.length - at < headerLength) {
      return SENSE.invalidParamLength;
    }
    if (long && list[at + 1] !== 0) {
      return SENSE.invalidParam; // no subpages
    }
    const length = long ? (list[at + 2] << 8) | list[at + 3] : list[at + 1];
    at += headerLength;
    if (list.length - at < length) {
      return SENSE.invalidParamLength;
    }
    const body = list.subarray(at, at + length);
    if (!changesOnlyChangeable(state, page, body)) {
      return SENSE.invalidParam;
    }
    pages.push({ page, body });
    at += length;
  }
  return pages;
}

function changesOnlyChangeable(state: DiskState, page: number, body: Uint8Array): boolean {
  const current = modePage(state, page, false);
  const mask = modePage(state, page, true);
  return (
    current !== undefined &&
    mask !== undefined &&
    body.length === current.length &&
    body.every((byte, index) => ((byte ^ current[index]) & ~mask[index]) === 0)
  );
}

/** INQUIRY (SPC-4 section 6.6) and the vital product data pages (SPC-4 section 7.8, SBC-3 section 6.6). */
import type { Cdb } from '../cdb.ts';
import { SENSE, type Sense } from '../sense.ts';
import type { DiskState } from './state.ts';

const encoder = new TextEncoder();
/** SPC-3: asks guests for READ CAPACITY(16) and the block characteristics page by default. */
const VERSION_SPC3 = 5;
const MAX_INQUIRY_LENGTH = 256;

function padded(text: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(0x20);
  bytes.set(encoder.encode(text).subarray(0, length));
  return bytes;
}

/** The answer's bytes, or the sense it is refused with. */
export function inquiry(state: DiskState, cdb: Cdb): Uint8Array | Sense {
  const evpd = (cdb.bytes[1] & 1) !== 0;
  const page = cdb.bytes[2];
  if (evpd) {
    return vitalProductData(state, page) ?? SENSE.invalidField;
  }
  return page === 0 ? standardInquiry(state, cdb.transfer) : SENSE.invalidField;
}

function standardInquiry({ options }: DiskState, allocation: number): Uint8Array {
  const data = new Uint8Array(Math.max(36, Math.min(allocation, MAX_INQUIRY_LENGTH)));
  data[0] = deviceType(options.kind);
  data[1] = options.removable ? 0x80 : 0;
  data[2] = VERSION_SPC3;
  data[3] = 0x12; // HISUP, response data format 2
  data[4] = data.length - 5;
  data[7] = 0x12; // SYNC, CMDQUE
  data.set(padded(options.vendor, 8), 8);
  data.set(padded(options.product, 16), 16);
  data.set(encoder.encode(options.version).subarray(0, 4), 32);
  return data;
}

export function deviceType(kind: 'disk' | 'cdrom'): number {
  return kind === 'disk' ? 0x00 : 0x05;
}

/** One VPD page, or undefined where this unit has none of that code. */
function vitalProductData(state: DiskState, page: number): Uint8Array | undefined {
  const body = pageBody(state, page);
  if (body === undefined) {
    return undefined;
  }
  const data = new Uint8Array(4 + body.length);
  data[0] = deviceType(state.options.kind);
  data[1] = page;
  data[3] = body.length;
  data.set(body, 4);
  return data;
}

function pageBody(state: DiskState, page: number): Uint8Array | undefined {
  const { options } = state;
  const disk = options.kind === 'disk';
  switch (page) {
    case 0x00:
      return Uint8Array.of(
        0x00,
        ...(options.serial === undefined ? [] : [0x80]),
        0x83,
        ...(disk ? [0xb0, 0xb1, 0xb2] : []),
      );
    case 0x80:
      return options.serial === undefined ? undefined : encoder.encode(options.serial).subarray(0, 36);
    case 0x83:
      return deviceIdentification(state);
    case 0xb0:
      return disk ? blockLimits(state) : undefined;
    case 0xb1: {
      const body = new Uint8Array(0x3c);
      new DataView(body.buffer).setUint16(0, options.rotationRate);
      return body;
    }
    case 0xb2:
      // LBPU, LBPWS and LBPWS10; thin provisioned where something can be discarded.
      return Uint8Array.of(0, 0xe0, options.discardGranularity > 0 ? 2 : 1, 0);
    default:
      return undefined;
  }
}

/** Page 83h: designation descriptors (SPC-4 section 7.8.6). */
function deviceIdentification({ options }: DiskState): Uint8Array {
  const parts: number[] = [];
  const id = encoder.encode(options.deviceId ?? '').subarray(0, 255 - 8);
  if (id.length > 0) {
    parts.push(0x02, 0x00, 0, id.length, ...id); // ASCII, vendor specific
  }
  if (options.wwn !== undefined) {
    parts.push(0x01, 0x03, 0, 8, ...be64(options.wwn)); // binary, NAA
  }
  if (options.portWwn !== undefined) {
    parts.push(0x61, 0x93, 0, 8, ...be64(options.portWwn)); // SAS, target port, NAA
  }
  if (options.portIndex > 0) {
    parts.push(0x61, 0x94, 0, 4, 0, 0, options.portIndex >> 8, options.portIndex & 0xff); // relative target port
  }
  return Uint8Array.from(parts);
}

function be64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

/** Page B0h, SBC-3 section 6.6.4; block counts from the byte sizes of the properties. */
function blockLimits({ options, blockSize }: DiskState): Uint8Array {
  const body = new Uint8Array(0x3c);
  const view = new DataView(body.buffer);
  view.setUint8(0, 1); // WSNZ
  view.setUint8(1, 1); // MAXIMUM COMPARE AND WRITE LENGTH
  const maxTransfer = Math.floor(options.maxIoSize / blockSize);
  view.setUint16(2, Math.min(maxTransfer, Math.floor(options.minIoSize / blockSize)));
  view.setUint32(4, maxTransfer);
  view.setUint32(8, Math.min(maxTransfer, Math.floor(options.optIoSize / blockSize)));
  view.setUint32(16, Math.floor(options.maxUnmapSize / blockSize));
  view.setUint32(20, MAX_UNMAP_DESCRIPTORS);
  view.setUint32(24, Math.floor(options.discardGranularity / blockSize));
  view.setUint32(36, maxTransfer); // MAXIMUM WRITE SAME LENGTH, the low half of 64 bits
  return body;
}

/** Block descriptors of one UNMAP: as many as fit into 4 KiB with the header. */
export const MAX_UNMAP_DESCRIPTORS = 255;

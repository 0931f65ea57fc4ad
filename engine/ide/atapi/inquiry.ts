/** INQUIRY of the CD-ROM drive, with VPD pages 00 and 83 as libata answers them (hw/ide/atapi.c, `cmd_inquiry`). */
import { SENSE } from '../../scsi/sense.ts';
import type { IdeDrive } from '../drive.ts';
import { packetFailed, reply } from './reply.ts';

const CD_ROM = 5;
const REMOVABLE = 0x80;

class Writer {
  at = 0;
  readonly #buffer: Uint8Array;
  constructor(buffer: Uint8Array) {
    this.#buffer = buffer;
  }
  bytes(...values: number[]): void {
    this.#buffer.set(values, this.at);
    this.at += values.length;
  }
  /** Filled up with spaces. */
  text(text: string, length: number): void {
    for (let i = 0; i < length; i++)
      this.#buffer[this.at++] = i < text.length ? text.charCodeAt(i) & 0xff : 0x20;
  }
}

export function inquiry(drive: IdeDrive): void {
  const { buffer } = drive;
  const page = buffer[2];
  const most = buffer[4];
  const out = new Writer(buffer);
  if ((buffer[1] & 1) === 0) {
    out.bytes(CD_ROM, REMOVABLE, 0, 0x21, 31, 0, 0, 0);
    out.text('QEMU', 8);
    out.text('QEMU DVD-ROM', 16);
    out.text(drive.version, 4);
    reply(drive, out.at, most);
    return;
  }
  out.bytes(CD_ROM, page, 0, buffer[3]);
  if (page === 0) {
    out.bytes(0, 0x83);
  } else if (page !== 0x83) {
    packetFailed(drive, SENSE.invalidField);
    return;
  } else if (!identification(drive, out, most)) {
    packetFailed(drive, { key: 5, asc: 0x4b, ascq: 0 });
    return;
  }
  buffer[3] = out.at - 4;
  reply(drive, out.at, most);
}

/** Serial number, vendor with model and serial number, WWN: as many as there is room for, but at least the first. */
function identification(drive: IdeDrive, out: Writer, most: number): boolean {
  if (out.at + 24 > most) return false;
  out.bytes(2, 0, 0, 20);
  out.text(drive.serial, 20);
  if (out.at + 72 > most) return true;
  out.bytes(2, 1, 0, 68);
  out.text('ATA', 8);
  out.text(drive.model, 40);
  out.text(drive.serial, 20);
  const wwn = drive.options.wwn ?? 0n;
  if (wwn === 0n || out.at + 12 > most) return true;
  out.bytes(1, 3, 0, 8);
  for (let shift = 56n; shift >= 0n; shift -= 8n) out.bytes(Number((wwn >> shift) & 0xffn));
  return true;
}

/** READ TOC/PMA/ATIP: one data track, in one session (hw/block/cdrom.c; MMC-6, section 6.25). */
import { SENSE } from '../../scsi/sense.ts';
import type { IdeDrive } from '../drive.ts';
import { minuteSecondFrame, packetFailed, reply } from './reply.ts';

const LEAD_OUT = 0xaa;
/** ADR 1; control 4 (data) of the track, 6 of the lead-out. */
const DATA_TRACK = 0x14;
const AFTER_TRACK = 0x16;

function address(block: number, asMsf: boolean): number[] {
  if (asMsf) return [0, ...minuteSecondFrame(block)];
  return [24, 16, 8, 0].map((shift) => (block >>> shift) & 0xff);
}

/** With its length in front, and first and last track or session. */
function withHeader(body: readonly number[]): number[] {
  return [0, body.length + 2, 1, 1, ...body];
}

function contents(blocks: number, asMsf: boolean, first: number): number[] {
  const track = first <= 1 ? [0, DATA_TRACK, 1, 0, ...address(0, asMsf)] : [];
  return withHeader([...track, 0, AFTER_TRACK, LEAD_OUT, 0, ...address(blocks, asMsf)]);
}

/** The raw form, with the points A0, A1 and A2 of the lead-in. */
function rawContents(blocks: number, asMsf: boolean): number[] {
  const point = (number: number, ...rest: number[]): number[] => [1, DATA_TRACK, 0, number, 0, 0, 0, ...rest];
  return withHeader([
    ...point(0xa0, 0, 1, 0, 0),
    ...point(0xa1, 0, 1, 0, 0),
    ...point(0xa2, ...address(blocks, asMsf)),
    ...point(1, ...(asMsf ? address(0, true) : [0, 0, 0, 0])),
  ]);
}

export function readToc(drive: IdeDrive): void {
  const { buffer } = drive;
  const most = drive.view.getUint16(7);
  const asMsf = (buffer[1] & 2) !== 0;
  const first = buffer[6];
  const blocks = drive.sectors >>> 2;
  let page: number[] | undefined;
  switch (buffer[9] >> 6) {
    case 0:
      if (first <= 1 || first === LEAD_OUT) page = contents(blocks, asMsf, first);
      break;
    case 1:
      page = [0, 0x0a, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
      break;
    case 2:
      page = rawContents(blocks, asMsf);
      break;
    default:
      break;
  }
  if (page === undefined) {
    packetFailed(drive, SENSE.invalidField);
    return;
  }
  buffer.set(page);
  reply(drive, page.length, most);
}

/**
 * How a packet device answers: through the data port, in pieces of at most the guest's byte count limit, or by DMA (hw/ide/atapi.c;
 * ATA/ATAPI-7, section 9.8 for the PIO protocol).
 */
import { SENSE, type Sense } from '../../scsi/sense.ts';
import { E } from '../../trace/registry.ts';
import { ERROR, REASON, STATUS } from '../ata.ts';
import { stopTransfer, type IdeDrive } from '../drive.ts';
import { handleError, setInactive } from '../errors.ts';
import { resultOf } from '../pio.ts';

const READY = STATUS.drdy | STATUS.dsc;
/** Bytes of a block of a data disc, and of the same block with everything around the data. */
export const BLOCK = 2048;
export const RAW_BLOCK = 2352;
/** Sync bytes and header before the data of a raw block. */
const RAW_HEADER = 16;
/** Most blocks that fit into the drive's buffer. */
const MOST_BLOCKS = 64;
const FRAMES = 75;
const LEAD_IN = 2 * FRAMES;
const UNIT_ATTENTION = SENSE.mediumChanged.key;

/** The interrupt reason stands in the count register. */
function reason(drive: IdeDrive, bits: number): void {
  drive.count = (drive.count & ~REASON.mask) | bits;
}

/** The command went well. */
export function packetDone(drive: IdeDrive): void {
  drive.error = 0;
  drive.status = READY;
  reason(drive, REASON.toHost | REASON.command);
  stopTransfer(drive);
  drive.bus.raiseIrq();
}

/** The command ends with sense data, which REQUEST SENSE will fetch. QEMU keeps no qualifier. */
export function packetFailed(drive: IdeDrive, sense: Sense): void {
  drive.emit(E.ide_atapi_cmd_error, sense.key, sense.asc);
  drive.error = sense.key << 4;
  drive.status = STATUS.drdy | STATUS.err;
  reason(drive, REASON.toHost | REASON.command);
  drive.senseKey = sense.key;
  drive.asc = sense.asc;
  stopTransfer(drive);
  drive.bus.raiseIrq();
}

/** A unit attention that the guest has not fetched yet. */
export function packetAttention(drive: IdeDrive): void {
  drive.emit(E.ide_atapi_cmd_check_status, drive.unit);
  drive.error = ERROR.mc | (UNIT_ATTENTION << 4);
  drive.status = STATUS.err;
  drive.count = 0;
  drive.bus.raiseIrq();
}

/** The host could not read. */
function ioFailed(drive: IdeDrive): void {
  packetFailed(drive, SENSE.lbaOutOfRange);
}

/** The guest's byte count limit, of the cylinder registers; 0 is not allowed for what moves data. */
export function byteCountLimit(drive: IdeDrive): number {
  const limit = drive.lbaMid | (drive.lbaHigh << 8);
  return limit === 0xffff ? 0xfffe : limit;
}

/** Answers `length` bytes of the drive's buffer, at most `most`. */
export function reply(drive: IdeDrive, length: number, most: number): void {
  const bytes = Math.min(length, most);
  drive.packetBlock = -1;
  drive.packetLeft = drive.ioBytes = bytes;
  if (drive.packetDma) {
    drive.status = READY | STATUS.drq;
    startDma(drive);
  } else {
    drive.status = READY;
    drive.ioIndex = 0;
    nextPiece(drive);
  }
}

/** Answers blocks of the disc; the caller has checked that they are there. */
export function replyBlocks(drive: IdeDrive, block: number, count: number, blockBytes: number): void {
  drive.emit(E.ide_atapi_cmd_read, drive.packetDma ? 1 : 0, block, 0, count);
  drive.packetBlock = block;
  drive.packetLeft = count * blockBytes;
  drive.blockBytes = blockBytes;
  if (drive.packetDma) {
    drive.retrySector = block;
    drive.retryCount = count;
    drive.ioBytes = 0;
    drive.status = READY | STATUS.drq | STATUS.bsy;
    startDma(drive);
    return;
  }
  drive.ioIndex = drive.ioBytes = 0;
  nextPiece(drive);
}

// ---- through the data port ----

/** Bytes of the next piece: what is left, or an even number up to the guest's limit. */
function pieceSize(drive: IdeDrive): number {
  const limit = byteCountLimit(drive);
  return drive.packetLeft > limit ? limit & ~1 : drive.packetLeft;
}

/** The next piece of the answer, after the guest has taken the last one. */
function nextPiece(drive: IdeDrive): void {
  while (drive.packetLeft > 0) {
    drive.emit(E.ide_atapi_cmd_reply_end, drive.packetLeft, drive.ioBytes - drive.ioIndex, drive.ioIndex);
    if (drive.packetBlock !== -1 && drive.ioBytes - drive.ioIndex < pieceSize(drive)) {
      fetchBlocks(drive);
      return;
    }
    if (!offerPiece(drive)) return;
  }
  drive.emit(E.ide_atapi_cmd_reply_end_eot, drive.status);
  packetDone(drive);
}

/** Offers a piece that lies in the buffer. True when it has moved already and the next one is due (AHCI). */
function offerPiece(drive: IdeDrive): boolean {
  reason(drive, REASON.toHost);
  drive.bus.raiseIrq();
  drive.emit(E.ide_atapi_cmd_reply_end_bcl, byteCountLimit(drive));
  const size = pieceSize(drive);
  if (size === 0) {
    // A limit of 1 leaves no even number of bytes: nothing would ever move.
    drive.abort();
    drive.bus.raiseIrq();
    return false;
  }
  drive.lbaMid = size & 0xff;
  drive.lbaHigh = (size >> 8) & 0xff;
  drive.emit(E.ide_atapi_cmd_reply_end_new, drive.status);
  // AHCI moves the data itself, one block at a time.
  const least = drive.bus.dma.pioTransfer === undefined ? size : toBlockEnd(drive);
  let moved = true;
  for (let left = size; left > 0 && moved;) {
    const part = left === size ? Math.min(size, least) : Math.min(left, drive.blockBytes);
    left -= part;
    drive.packetLeft -= part;
    drive.ioIndex += part;
    moved = drive.offerTransfer(drive.ioIndex - part, part, true, nextPiece);
  }
  return moved;
}

/** Bytes to the end of the block in which the answer stands; all of it when it is not made of blocks. */
function toBlockEnd(drive: IdeDrive): number {
  return drive.packetBlock === -1
    ? drive.packetLeft
    : drive.packetLeft % drive.blockBytes || drive.blockBytes;
}

/**
 * Reads the blocks that the next piece still needs behind what is left of the last one. All of a piece is there before it is offered:
 * the guest takes it without looking at the status in between.
 */
function fetchBlocks(drive: IdeDrive): void {
  const { buffer, blockBytes, packetBlock: block } = drive;
  const have = drive.ioBytes - drive.ioIndex;
  const count = Math.ceil((pieceSize(drive) - have) / blockBytes);
  const raw = blockBytes === RAW_BLOCK;
  buffer.copyWithin(0, drive.ioIndex, drive.ioBytes);
  const at = raw ? buffer.length - count * BLOCK : have;
  drive.emit(E.cd_read_sector, block, count);
  drive.status |= STATUS.bsy;
  drive.readBuffered(block * BLOCK, count * BLOCK, at, (error) => {
    drive.emit(E.cd_read_sector_cb, block, resultOf(error));
    drive.status &= ~STATUS.bsy;
    if (error !== undefined) {
      ioFailed(drive);
      return;
    }
    const expanded = raw ? count : 0;
    for (let i = 0; i < expanded; i++) {
      const to = have + i * RAW_BLOCK;
      buffer.copyWithin(to + RAW_HEADER, at + i * BLOCK, at + (i + 1) * BLOCK);
      makeRaw(buffer, to, block + i);
    }
    drive.stats.reads++;
    drive.stats.bytesRead += count * BLOCK;
    drive.packetBlock += count;
    drive.ioIndex = 0;
    drive.ioBytes = have + count * blockBytes;
    nextPiece(drive);
  });
}

/** What surrounds the data of a mode 1 block: sync, address, mode; no error correction is computed. */
function makeRaw(buffer: Uint8Array, at: number, block: number): void {
  buffer[at] = buffer[at + 11] = 0;
  buffer.fill(0xff, at + 1, at + 11);
  buffer.set([...minuteSecondFrame(block), 1], at + 12);
  buffer.fill(0, at + RAW_HEADER + BLOCK, at + RAW_BLOCK);
}

export function minuteSecondFrame(block: number): [number, number, number] {
  const frames = block + LEAD_IN;
  const seconds = Math.floor(frames / FRAMES);
  return [Math.floor(seconds / 60) & 0xff, seconds % 60, frames % FRAMES];
}

// ---- by DMA ----

function startDma(drive: IdeDrive): void {
  drive.ioIndex = 0;
  drive.bus.dma.start(drive, () => nextPart(drive));
}

/** Moves what lies in the buffer and reads the next blocks, until all has moved or the controller's table ends. */
function nextPart(drive: IdeDrive): void {
  const { bus } = drive;
  if (drive.ioBytes > 0) {
    if (drive.packetBlock !== -1) {
      const raw = drive.blockBytes === RAW_BLOCK;
      if (raw) makeRaw(drive.buffer, 0, drive.packetBlock);
      const blocks = raw ? 1 : drive.ioBytes / BLOCK;
      drive.packetBlock += blocks;
      drive.stats.reads++;
      drive.stats.bytesRead += blocks * BLOCK;
    }
    drive.packetLeft -= drive.ioBytes;
    if (!bus.dma.moveBuffer(drive, true)) {
      end(drive);
      return;
    }
  }
  if (drive.packetLeft <= 0) {
    drive.status = READY;
    reason(drive, REASON.toHost | REASON.command);
    bus.raiseIrq();
    end(drive);
    return;
  }
  readPart(drive);
}

function readPart(drive: IdeDrive): void {
  const raw = drive.blockBytes === RAW_BLOCK;
  const blocks = raw ? 1 : Math.min(Math.floor(drive.packetLeft / BLOCK), MOST_BLOCKS);
  drive.ioIndex = 0;
  drive.ioBytes = blocks * drive.blockBytes;
  drive.emit(E.ide_atapi_cmd_read_dma_cb_aio, drive.packetBlock, blocks);
  drive.readBuffered(drive.packetBlock * BLOCK, blocks * BLOCK, raw ? RAW_HEADER : 0, (error) => {
    if (error === undefined || !handleError(drive, error, true, ioFailed, again)) nextPart(drive);
    else if (drive.bus.retry === undefined) end(drive);
  });
}

/** The machine runs on: the whole answer once more. */
function again(drive: IdeDrive): void {
  drive.bus.dma.restart?.();
  replyBlocks(drive, drive.retrySector, drive.retryCount, drive.blockBytes);
}

function end(drive: IdeDrive): void {
  drive.emit(E.ide_set_inactive, 0);
  setInactive(drive, false);
}

/** READ DMA, WRITE DMA and TRIM: the drive moves sectors between the disk and guest memory by itself (hw/ide/core.c, `ide_dma_cb`). */
import { OP } from '../trace/format.ts';
import { E } from '../trace/registry.ts';
import { highWord } from '../trace/ring.ts';
import { DMA, SECTOR, STATUS, type DmaKind } from './ata.ts';
import type { IdeDrive } from './drive.ts';
import { failDma, handleError, setInactive } from './errors.ts';

const READY = STATUS.drdy | STATUS.dsc;

/** A command that moves sectors by DMA: everything waits for the controller. */
export function startSectors(drive: IdeDrive, kind: DmaKind): void {
  drive.status = READY | STATUS.drq;
  drive.dma = kind;
  drive.retrySector = drive.sector;
  drive.retryCount = drive.count;
  begin(drive);
}

function begin(drive: IdeDrive): void {
  drive.ioBytes = drive.ioIndex = 0;
  drive.bus.dma.start(drive, () => nextPart(drive));
}

/** All of the command once more, for the machine runs on (`ide_restart_dma`). */
function again(drive: IdeDrive): void {
  drive.sector = drive.retrySector;
  drive.count = drive.retryCount;
  drive.bus.dma.restart?.();
  begin(drive);
}

/** The host is done with a part; `error` undefined when all went well. */
function partDone(drive: IdeDrive, error: unknown): void {
  drive.bus.active = undefined;
  const isRead = drive.dma === DMA.read;
  if (error === TRIM_RANGE) {
    failDma(drive);
    return;
  }
  if (error !== undefined && handleError(drive, error, isRead, failDma, again)) return;
  count(drive);
  nextPart(drive);
}

function count({ dma, stats, list }: IdeDrive): void {
  if (dma === DMA.trim) {
    stats.trims++;
  } else if (dma === DMA.read) {
    stats.reads++;
    stats.bytesRead += list.bytes;
  } else {
    stats.writes++;
    stats.bytesWritten += list.bytes;
  }
}

/** Accounts for the part that was moved (none at first) and begins the next one, or ends. */
function nextPart(drive: IdeDrive): void {
  const { bus, list } = drive;
  // Tables that describe more than the command moves leave the controller active.
  const longer = drive.ioBytes > drive.count * SECTOR;
  const moved = longer ? drive.count : drive.ioBytes >>> 9;
  if (moved > 0) {
    bus.dma.commit(drive, moved * SECTOR);
    drive.ioDone += moved * SECTOR;
    drive.sector += moved;
    drive.count -= moved;
  }
  if (drive.count === 0) {
    drive.status = READY;
    bus.raiseIrq();
    end(drive, longer);
    return;
  }
  const wanted = drive.count * SECTOR;
  drive.ioIndex = 0;
  drive.ioBytes = wanted;
  if (bus.dma.prepare(drive, wanted) < wanted) {
    // Too little memory for the request: no interrupt, and the controller stops (CVE-2019-20175 was an assertion here).
    drive.status = READY;
    bus.dma.commit(drive, 0);
    end(drive, false);
    return;
  }
  const { sector, node } = drive;
  drive.emit(E.ide_dma_cb, sector >>> 0, highWord(sector), drive.count, drive.dma);
  if (node === undefined || (drive.dma !== DMA.trim && !drive.inRange(sector, drive.count))) {
    failDma(drive);
    return;
  }
  if (drive.dma === DMA.trim) {
    trim(drive);
    return;
  }
  const op = drive.dma === DMA.read ? OP.read : OP.write;
  const transfer = bus.io.scattered(node, bus.requestId, op, sector * SECTOR, list, (error) =>
    partDone(drive, error),
  );
  transfer.host.through = op === OP.write && !drive.writeCache;
  bus.active = bus.io.submit(transfer);
}

function end(drive: IdeDrive, more: boolean): void {
  drive.emit(E.ide_set_inactive, more ? 1 : 0);
  setInactive(drive, more);
}

/** A range of TRIM that the disk does not have. */
const TRIM_RANGE = Symbol('trim past the end');

/** DATA SET MANAGEMENT (ACS-2, section 7.10.3): entries of 48 bits of sector and 16 of count; a count of 0 is none. */
function trim(drive: IdeDrive): void {
  const entries = new Uint8Array(drive.list.bytes);
  drive.list.drain(entries);
  trimNext(drive, new DataView(entries.buffer), 0);
}

function trimNext(drive: IdeDrive, entries: DataView, from: number): void {
  const { bus, node } = drive;
  for (let at = from; at + 8 <= entries.byteLength; at += 8) {
    const sectors = entries.getUint16(at + 6, true);
    if (sectors === 0) continue;
    const sector = entries.getUint16(at + 4, true) * 0x1_0000_0000 + entries.getUint32(at, true);
    if (node === undefined || !drive.inRange(sector, sectors)) {
      bus.active = undefined;
      drive.later(() => partDone(drive, TRIM_RANGE));
      return;
    }
    if (drive.options.unmap !== true) continue;
    bus.active = bus.io.submit(
      bus.io.plain(node, bus.requestId, OP.discard, sector * SECTOR, sectors * SECTOR, (error) => {
        if (error === undefined) trimNext(drive, entries, at + 8);
        else partDone(drive, error);
      }),
    );
    return;
  }
  bus.active = undefined;
  drive.later(() => partDone(drive, undefined));
}

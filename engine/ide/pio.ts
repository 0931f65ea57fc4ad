/** Sectors through the data port, and the flush: the PIO half of hw/ide/core.c. */
import { OP } from '../trace/format.ts';
import { E } from '../trace/registry.ts';
import { highWord } from '../trace/ring.ts';
import { SECTOR, STATUS } from './ata.ts';
import type { IdeDrive } from './drive.ts';
import { failPio, handleError } from './errors.ts';

const READY = STATUS.drdy | STATUS.dsc;

/** As the trace takes a result. */
export const resultOf = (error: unknown): number => (error === undefined ? 0 : -5);

/** Fetches the next block of sectors; called again when the guest has taken it. */
export function readSectors(drive: IdeDrive): void {
  drive.status = READY;
  drive.error = 0;
  const { sector, node } = drive;
  if (drive.count === 0 || node === undefined) {
    drive.stop();
    return;
  }
  drive.status |= STATUS.bsy;
  const count = Math.min(drive.count, drive.blockSectors);
  drive.emit(E.ide_sector_read, sector >>> 0, highWord(sector), count);
  if (!drive.inRange(sector, count)) {
    failPio(drive);
    return;
  }
  drive.pio = drive.readBuffered(sector * SECTOR, count * SECTOR, 0, (error) => sectorsRead(drive, error));
}

function sectorsRead(drive: IdeDrive, error: unknown): void {
  drive.pio = undefined;
  drive.status &= ~STATUS.bsy;
  drive.emit(E.ide_sector_read_cb, resultOf(error));
  if (error !== undefined && handleError(drive, error, true, failPio, readSectors)) return;
  const count = Math.min(drive.count, drive.blockSectors);
  drive.sector += count;
  drive.count -= count;
  drive.stats.reads++;
  drive.stats.bytesRead += count * SECTOR;
  drive.startTransfer(0, count * SECTOR, true, readSectors);
  drive.bus.raiseIrq();
}

/** Asks for the first block of sectors. */
export function awaitSectors(drive: IdeDrive): void {
  drive.status = READY;
  drive.startTransfer(0, Math.min(drive.count, drive.blockSectors) * SECTOR, false, writeSectors);
}

/** The guest has given a block of sectors. */
function writeSectors(drive: IdeDrive): void {
  drive.status = READY | STATUS.bsy;
  const { sector, node, bus } = drive;
  const count = Math.min(drive.count, drive.blockSectors);
  drive.emit(E.ide_sector_write, sector >>> 0, highWord(sector), count);
  if (node === undefined || !drive.inRange(sector, count)) {
    failPio(drive);
    return;
  }
  const transfer = bus.io.buffered(
    node,
    bus.requestId,
    sector * SECTOR,
    count * SECTOR,
    drive.buffer,
    (error) => sectorsWritten(drive, error),
  );
  transfer.host.through = !drive.writeCache;
  drive.pio = bus.io.submit(transfer);
}

function sectorsWritten(drive: IdeDrive, error: unknown): void {
  drive.pio = undefined;
  drive.status &= ~STATUS.bsy;
  drive.emit(E.ide_sector_write_cb, resultOf(error));
  if (error !== undefined && handleError(drive, error, false, failPio, writeSectors)) return;
  const count = Math.min(drive.count, drive.blockSectors);
  drive.count -= count;
  drive.sector += count;
  drive.stats.writes++;
  drive.stats.bytesWritten += count * SECTOR;
  if (drive.count === 0) drive.stop();
  else drive.startTransfer(0, Math.min(drive.count, drive.blockSectors) * SECTOR, false, writeSectors);
  drive.bus.raiseIrq();
}

/** FLUSH CACHE, and what turning the write cache off begins with. */
export function flushCache(drive: IdeDrive): void {
  const { node, bus } = drive;
  drive.emit(E.ide_flush_cache, drive.unit);
  if (!drive.present) {
    flushed(drive, undefined);
    return;
  }
  drive.status |= STATUS.bsy;
  if (node === undefined) {
    drive.later(() => flushed(drive, new RangeError('no medium')));
    return;
  }
  drive.pio = bus.io.submit(
    bus.io.plain(node, bus.requestId, OP.flush, 0, 0, (error) => flushed(drive, error)),
  );
}

function flushed(drive: IdeDrive, error: unknown): void {
  drive.pio = undefined;
  drive.emit(E.ide_flush_cb, resultOf(error));
  if (error !== undefined && handleError(drive, error, false, failPio, flushCache)) return;
  drive.stats.flushes++;
  drive.status = READY;
  drive.bus.dma.commandDone(drive);
  drive.bus.raiseIrq();
}

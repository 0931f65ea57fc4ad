/** What a drive tells its guest when the host could not do something (hw/ide/core.c, `ide_handle_rw_error`). */
import { CANCELLED } from './io.ts';
import type { IdeDrive } from './drive.ts';

/** The command is aborted, and the guest interrupted. */
export function failPio(drive: IdeDrive): void {
  drive.abort();
  drive.bus.raiseIrq();
}

/** The same at the end of a DMA transfer. */
export function failDma(drive: IdeDrive): void {
  drive.bus.dma.commit(drive, 0);
  drive.abort();
  setInactive(drive, false);
  drive.bus.raiseIrq();
}

/** The transfer is over: the controller may be asked for the next. */
export function setInactive(drive: IdeDrive, more: boolean): void {
  drive.bus.active = undefined;
  drive.bus.dma.setInactive(more);
  drive.bus.dma.commandDone(drive);
}

/**
 * Applies `rerror=` or `werror=`. False when the error is to be ignored, and the drive goes on as if all were well; otherwise
 * `report` has told the guest.
 */
export function handleError(
  drive: IdeDrive,
  error: unknown,
  isRead: boolean,
  report: (drive: IdeDrive) => void,
): boolean {
  if (error !== CANCELLED) {
    drive.lastFailure = error;
    drive.stats.errors++;
  }
  const policy = isRead ? drive.options.rerror : drive.options.werror;
  if (policy === 'ignore') return false;
  report(drive);
  return true;
}

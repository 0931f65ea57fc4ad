/** What a drive tells its guest when the host could not do something (hw/ide/core.c, `ide_handle_rw_error`). */
import { ON_ERRORS } from '../block/on-error.ts';
import type { ErrorAction } from '../trace/format.ts';
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
 * Applies `rerror=` or `werror=`. False when the error is to be ignored, and the drive goes on as if all were well; otherwise `report`
 * has told the guest, or the machine stands still and `retry` is called when it runs on.
 */
export function handleError(
  drive: IdeDrive,
  error: unknown,
  isRead: boolean,
  report: (drive: IdeDrive) => void,
  retry: (drive: IdeDrive) => void,
): boolean {
  if (error === CANCELLED) {
    report(drive);
    return true;
  }
  const action = decideError(drive, error, isRead);
  if (action === 'report') report(drive);
  if (action === 'stop') {
    drive.bus.retry = () => retry(drive);
    drive.bus.errors.stop();
  }
  return action !== 'ignore';
}

/** Counts the error, and says what `rerror=` or `werror=` makes of it. */
export function decideError(
  drive: IdeDrive,
  error: unknown,
  isRead: boolean,
  requestId = drive.bus.requestId,
): ErrorAction {
  drive.lastFailure = error;
  drive.stats.errors++;
  return drive.bus.errors.decide(drive.options.onErrors ?? ON_ERRORS, isRead, error, requestId);
}

/**
 * Changing the medium of a drive from the host's side: QMP's `eject`, `blockdev-open-tray`, `blockdev-close-tray`,
 * `blockdev-remove-medium`, `blockdev-insert-medium` and `blockdev-change-medium` (block/qapi-sysemu.c). What the drive makes of it, and
 * tells its guest, is the drive's own.
 */
import { PlatterError } from '../errors.ts';
import type { BlockNode } from './node.ts';

/** A drive whose medium can be taken out, as its host sees it (QEMU's `BlockDevOps`). */
export interface RemovableDrive {
  /** What lies in it, whether the tray is open or not. */
  readonly medium: BlockNode | undefined;
  readonly trayOpen: boolean;
  /** The guest has asked to prevent removal. */
  readonly trayLocked: boolean;
  /** Puts something else, or nothing, into it. The guest hears of it when the tray is closed. */
  setMedium(medium: BlockNode | undefined): void;
  /** The host has moved the tray: `load` closes it (`change_media_cb`). */
  changeMedia(load: boolean): void;
  /** The host would like to open a locked tray: the guest is asked; with `force` the lock is gone (`eject_request_cb`). */
  ejectRequest(force: boolean): void;
}

const refused = (
  code: 'medium.locked' | 'medium.tray-shut' | 'medium.there-already',
  why: string,
): PlatterError => new PlatterError(code, why);

/** `blockdev-open-tray`. A guest that forbids it is asked, and may open the tray itself; false while it has not. */
export function openTray(drive: RemovableDrive, force = false): boolean {
  if (drive.trayOpen) return true;
  const locked = drive.trayLocked;
  if (locked) drive.ejectRequest(force);
  if (!locked || force) drive.changeMedia(false);
  return drive.trayOpen;
}

/** `blockdev-close-tray`. */
export function closeTray(drive: RemovableDrive): void {
  if (drive.trayOpen) drive.changeMedia(true);
}

/** `blockdev-remove-medium`. Throws `medium.tray-shut`. */
export function removeMedium(drive: RemovableDrive): void {
  if (!drive.trayOpen) throw refused('medium.tray-shut', 'Tray of device is not open');
  drive.setMedium(undefined);
}

/** `blockdev-insert-medium`. Throws `medium.tray-shut`, `medium.there-already`. */
export function insertMedium(drive: RemovableDrive, medium: BlockNode): void {
  if (!drive.trayOpen) throw refused('medium.tray-shut', 'Tray of device is not open');
  if (drive.medium !== undefined)
    throw refused('medium.there-already', 'There already is a medium in device');
  drive.setMedium(medium);
}

/** `eject`. Throws `medium.locked` when the guest forbids it, and was asked. */
export function eject(drive: RemovableDrive, force = false): void {
  if (!openTray(drive, force))
    throw refused(
      'medium.locked',
      'Device is locked and force was not specified, wait for tray to open and try again',
    );
  removeMedium(drive);
}

/** `blockdev-change-medium`. Throws `medium.locked`. */
export function changeMedium(drive: RemovableDrive, medium: BlockNode, force = false): void {
  eject(drive, force);
  insertMedium(drive, medium);
  closeTray(drive);
}

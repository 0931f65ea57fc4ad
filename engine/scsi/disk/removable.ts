/** A SCSI drive with a tray as its host sees it (hw/scsi/scsi-disk.c, `scsi_disk_removable_block_ops`). */
import type { RemovableDrive } from '../../block/medium.ts';
import type { BlockNode } from '../../block/node.ts';
import type { DiskState } from './state.ts';

export function removableDrive(state: DiskState): RemovableDrive {
  return {
    get medium(): BlockNode | undefined {
      return state.medium;
    },
    get trayOpen(): boolean {
      return state.trayOpen;
    },
    get trayLocked(): boolean {
      return state.trayLocked;
    },
    setMedium: (medium) => void (state.medium = medium),
    changeMedia: (load) => state.changeMedia(load),
    ejectRequest: (force) => {
      state.ejectRequested = true;
      if (force) state.trayLocked = false;
    },
  };
}
